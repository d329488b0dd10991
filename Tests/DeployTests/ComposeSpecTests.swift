// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Deploy

/// What the specification shows by examples, written anew, with what becomes of it at each target.
@Suite("Examples of the compose specification")
struct ComposeSpecTests {
    /// An example, and the keys that targets refuse: `key: why`, the beginning of it.
    struct Example: Sendable, CustomTestStringConvertible {
        let what: String
        let text: String
        var aci: [String] = []
        var aks: [String] = []

        var testDescription: String { what }
    }

    private static let examples = [
        Example(
            what: "overview: two services, two networks, a volume, a config and a secret of somebody else",
            text: """
                services:
                  frontend:
                    image: example/webapp
                    ports: ["443:8043"]
                    networks: [front-tier, back-tier]
                    configs: [httpd-config]
                    secrets: [server-certificate]
                  backend:
                    image: example/database
                    volumes: ["db-data:/etc/data"]
                    networks: [back-tier]
                volumes: {db-data: {driver: flocker, driver_opts: {size: 10GiB}}}
                configs: {httpd-config: {external: true}}
                secrets: {server-certificate: {external: true}}
                networks: {front-tier: {}, back-tier: {}}
                """,
            aci: [
                "services.frontend.ports[0]: a container group opens the very port",
                "services.frontend.configs[0]: /httpd-config would need a volume at /",
                "services.frontend.secrets[0]: server-certificate is external",
                "volumes.db-data: the driver flocker is not there",
            ],
            aks: ["volumes.db-data: a cluster has no driver flocker with options"]
        ),
        Example(
            what: "services: limits of block devices",
            text: """
                services:
                  foo:
                    image: busybox
                    blkio_config: {weight: 300, device_read_bps: [{path: /dev/sdb, rate: 12mb}]}
                """
        ),
        Example(
            what: "services: a config with owner and mode",
            text: """
                services:
                  redis:
                    image: redis:latest
                    configs: [{source: my_config, target: /etc/redis/redis.conf, uid: "103", gid: "103", mode: 0440}]
                configs: {my_config: {content: "x"}}
                """
        ),
        Example(
            what: "services: depends_on with conditions",
            text: """
                services:
                  web:
                    build: .
                    depends_on: {db: {condition: service_healthy, restart: true}, redis: {condition: service_started}}
                  redis: {image: redis}
                  db: {image: postgres}
                """
        ),
        Example(
            what: "services: devices, and their control groups",
            text: """
                services:
                  a:
                    image: x
                    devices: ["/dev/ttyUSB0:/dev/ttyUSB0", "vendor1.com/device=gpu"]
                    device_cgroup_rules: ["c 1:3 mr"]
                """,
            aci: [
                "services.a.devices: there are no devices of a host",
                "services.a.device_cgroup_rules: there are no devices of a host",
            ],
            aks: [
                "services.a.devices: there are no devices of a host",
                "services.a.device_cgroup_rules: there are no devices of a host",
            ]
        ),
        Example(
            what: "services: name servers and search domains",
            text: "services:\n  a: {image: x, dns: [8.8.8.8, 9.9.9.9], dns_search: example.com, dns_opt: [use-vc]}\n",
            aci: [
                "services.a.dns: a group asks Azure's name servers", "services.a.dns_search: a group asks",
                "services.a.dns_opt: a group asks",
            ]
        ),
        Example(
            what: "services: extra hosts, both separators and IPv6",
            text:
                "services:\n  a: {image: x, extra_hosts: [\"somehost=162.242.195.82\", \"myhostv6=[::1]\", \"other:50.31.209.229\"]}\n",
            aci: ["services.a.extra_hosts: names cannot be given to a container group"]
        ),
        Example(
            what: "services: a health check",
            text: """
                services:
                  a:
                    image: x
                    healthcheck: {test: ["CMD", "curl", "-f", "http://localhost"], interval: 1m30s, timeout: 10s, retries: 3, start_period: 40s, start_interval: 5s}
                """
        ),
        Example(
            what: "services: a network of the host, and one of another service",
            text: """
                services:
                  a: {image: x, network_mode: host}
                  b: {image: x, network_mode: "service:a"}
                """,
            aci: ["services.a.network_mode: there is no network \"host\" of a host"],
            aks: [
                "services.a.network_mode: pods have a network of their own, not \"host\"",
                "services.b.network_mode: pods have a network of their own, not \"service:a\"",
            ]
        ),
        Example(
            what: "services: aliases on several networks",
            text: """
                services:
                  frontend: {image: example/webapp, networks: [front-tier, back-tier]}
                  monitoring: {image: example/monitoring, networks: [admin]}
                  backend: {image: example/backend, networks: {back-tier: {aliases: [database]}, admin: {aliases: [mysql]}}}
                networks: {front-tier: , back-tier: , admin: }
                """
        ),
        Example(
            what: "services: addresses of its own",
            text: """
                services:
                  frontend: {image: example/webapp, networks: {front-tier: {ipv4_address: 172.16.238.10}}}
                networks: {front-tier: {ipam: {driver: default, config: [{subnet: 172.16.238.0/24}]}}}
                """,
            aci: ["services.frontend.networks.front-tier.ipv4_address: addresses are given by Azure"],
            aks: ["services.frontend.networks.front-tier.ipv4_address: addresses are given by Azure"]
        ),
        Example(
            what: "services: ports of every short form that names one",
            text: """
                services:
                  a:
                    image: x
                    ports: ["3000", "3001-3005", "8000:8000", "9090-9091:8080-8081", "127.0.0.1:8001:8001", "127.0.0.1:5000-5010:5000-5010", "::1:6000:6000", "[::1]:6001:6001", "6060:6060/udp"]
                """,
            aci: [
                "services.a.ports[3]: a container group opens the very port",
                "services.a.ports[3]: a container group opens the very port",
            ]
        ),
        Example(
            what: "services: one container port, any of a thousand",
            text: "services:\n  a: {image: x, ports: [\"8000-8900:80\"]}\n",
            aci: ["services.a.ports[0]: 901 published ports for 1"],
            aks: ["services.a.ports[0]: 901 published ports for 1"]
        ),
        Example(
            what: "services: ports of the long form",
            text: """
                services:
                  a:
                    image: x
                    ports: [{name: web, target: 80, host_ip: 127.0.0.1, published: "8080", protocol: tcp, app_protocol: http, mode: host}]
                """
        ),
        Example(
            what: "services: commands after the start and before the end",
            text: """
                services:
                  test:
                    image: x
                    post_start: [{command: ./do_something_on_startup.sh, user: root, privileged: true, environment: [FOO=BAR]}]
                    pre_stop: [{command: ./bye.sh}]
                """,
            aci: [
                "services.test.post_start: nothing is run in a container after its start",
                "services.test.pre_stop: nothing is run in a container before its end",
            ],
            aks: [
                "services.test.post_start: nothing is run in a container after its start",
                "services.test.pre_stop: nothing is run in a container before its end",
            ]
        ),
        Example(
            what: "services: somebody else makes it",
            text: """
                services:
                  database: {provider: {type: awesomecloud, options: {type: mysql, foo: bar}}}
                  app: {image: myapp, depends_on: [database]}
                """,
            aci: ["services.database.provider: no other program makes services"],
            aks: ["services.database.provider: no other program makes services"]
        ),
        Example(
            what: "services: kernel parameters and limits",
            text: """
                services:
                  a:
                    image: x
                    sysctls: {net.core.somaxconn: 1024}
                    ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}
                """,
            aci: ["services.a.sysctls: kernel parameters cannot be set"]
        ),
        Example(
            what: "services: folders in memory",
            text: "services:\n  app: {image: x, tmpfs: [\"/data:mode=755,uid=1009,gid=1009\", /run]}\n"
        ),
        Example(
            what: "services: a volume with a part of it, and a socket of this machine",
            text: """
                services:
                  backend:
                    image: example/backend
                    volumes:
                      - {type: volume, source: db-data, target: /data, volume: {nocopy: true, subpath: sub}}
                      - {type: bind, source: /var/run/postgres/postgres.sock, target: /var/run/postgres/postgres.sock}
                volumes: {db-data: }
                """,
            aci: [
                "services.backend.volumes[0]: a volume is mounted as a whole",
                "services.backend.volumes[1]: a container group does not see /var/run/postgres/postgres.sock",
            ],
            aks: ["services.backend.volumes[1]: a cluster does not see /var/run/postgres/postgres.sock"]
        ),
        Example(
            what: "volumes: one that two services have",
            text: """
                services:
                  backend: {image: example/database, volumes: ["db-data:/etc/data"]}
                  backup: {image: backup-service, volumes: ["db-data:/var/lib/backup/data"]}
                volumes: {db-data: {x-aci: {share: data, account: acct, key: "env:KEY"}, x-aks: {size: 1Gi, access: ReadWriteMany, class: azurefile-csi}}}
                """
        ),
        Example(
            what: "volumes: one of somebody else",
            text: """
                services:
                  backend: {image: example/database, volumes: ["db-data:/etc/data"]}
                volumes: {db-data: {external: {name: actual-name-of-volume}}}
                """,
            aci: ["volumes.db-data: a volume of this machine is not there"]
        ),
        Example(
            what: "secrets: of a file, of a variable",
            text: """
                services:
                  frontend: {image: example/webapp, secrets: [server-certificate, {source: token, target: oauth}]}
                secrets: {server-certificate: {file: ./server.cert}, token: {environment: KEY}}
                """
        ),
        Example(
            what: "fragments: an anchor used for two volumes, one of them with another name",
            text: """
                services:
                  backend: {image: example/database, volumes: ["db-data:/a", "metrics:/b"]}
                volumes:
                  db-data: &default-volume {driver: default, name: data, x-aci: {type: emptyDir}, x-aks: {type: emptyDir}}
                  metrics: {<<: *default-volume, name: metrics}
                """
        ),
        Example(
            what: "deploy: a service on each node, and where services go",
            text: """
                services:
                  a: {image: x, deploy: {mode: global, placement: {constraints: [disktype=ssd], preferences: [{spread: node.labels.zone}]}}}
                """,
            aci: [
                "services.a.deploy.mode: a service has a number of replicas",
                "services.a.deploy.placement: nodes are not chosen by Docker's labels",
            ],
            aks: [
                "services.a.deploy.mode: a service has a number of replicas",
                "services.a.deploy.placement: nodes are not chosen by Docker's labels",
            ]
        ),
        Example(
            what: "deploy: six of one",
            text: "services:\n  frontend: {image: example/webapp, deploy: {mode: replicated, replicas: 6}}\n",
            aci: ["services.frontend.deploy.replicas: a container group has each container once, not 6 times"]
        ),
        Example(
            what: "deploy: limits, reservations, restarts and updates",
            text: """
                services:
                  frontend:
                    image: example/webapp
                    deploy:
                      resources: {limits: {cpus: "0.50", memory: 50M, pids: 1}, reservations: {cpus: "0.25", memory: 20M}}
                      restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 120s}
                      update_config: {parallelism: 2, delay: 10s, order: stop-first}
                """
        ),
        Example(
            what: "deploy: devices",
            text:
                "services:\n  a: {image: x, deploy: {resources: {reservations: {devices: [{capabilities: [gpu], driver: nvidia, count: 2}]}}}}\n",
            aci: ["services.a.deploy.resources.reservations.devices: there are no GPUs on Container Instances"],
            aks: ["services.a.deploy.resources.reservations.devices: devices are not asked for here"]
        ),
        Example(
            what: "models",
            text: "services:\n  a: {image: x, models: [my_model]}\nmodels: {my_model: {model: ai/model}}\n",
            aci: ["services.a.models: there is no runner of models", "models: there is no runner of models"],
            aks: ["services.a.models: there is no runner of models", "models: there is no runner of models"]
        ),
        Example(
            what: "build: three builds, one of a folder of its own",
            text: """
                services:
                  frontend: {image: example/webapp, build: ./webapp}
                  backend: {image: example/database, build: {context: backend, dockerfile: ../backend.Dockerfile}}
                  custom: {build: ~/custom}
                """
        ),
    ]

    @Test("What a target refuses is refused with the key and why, and nothing else is", arguments: examples)
    func example(_ example: Example) {
        var files = ComposeCase(example.text, ["server.cert": "certificate", "httpd.conf": "x"])
        files.environment = ["KEY": "s3cret", "HOME": "/home/me"]
        for (target, expected) in [(ComposeTarget.aci, example.aci), (.aks, example.aks)] {
            let errors = files.errors(for: target).map { String($0.split(separator: " error: ")[1]) }
            #expect(errors.count == expected.count, "\(target): \(errors)")
            for text in expected {
                #expect(errors.contains { $0.hasPrefix(text) }, "\(target): \(text) is not among \(errors)")
            }
        }
    }

    @Test("A build has its paths from its context, and from home")
    func builds() throws {
        var files = ComposeCase(try #require(Self.examples.last).text)
        files.environment = ["HOME": "/home/me"]
        let builds = try files.project().services.compactMap(\.build)

        #expect(builds.map(\.context) == ["webapp", "backend", "/home/me/custom"])
        #expect(builds.map(\.dockerfile) == [nil, "../backend.Dockerfile", nil])
    }
}
