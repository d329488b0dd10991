// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@Suite("Several services on an emulated Azure", .serialized, .waiting, .enabled(if: Containers.canRun))
struct ComposeVerbTests {
    /// Two services of one Dockerfile, and one that runs before them.
    private func write(_ place: AzurePlace, greeting: String, more: String = "", isOpen: Bool = true) throws {
        let compose = """
            name: shop
            services:
              web:
                build: {context: site, target: web}
                \(isOpen ? "ports: [\"8080:8080\"]" : "labels: {open: none}")
                environment: {API: "http://api:9000", KEY_TOKEN: "${KEY}"}
                x-aci: {environment: {API: "http://localhost:9000"}}
                depends_on: {api: {condition: service_started}, first: {condition: service_completed_successfully}}
              api:
                build: {context: site, target: api}
                \(isOpen ? "expose: [9000]" : "labels: {open: none}")
                environment: {GREETING: "\(greeting)"}
                secrets: [key]
                configs: [{source: page, target: /etc/page/page.html}]
              first:
                build: {context: site, target: api}
                command: ["sh", "-c", "echo first"]
            secrets: {key: {environment: KEY}}
            configs: {page: {content: "from a config"}}
            \(more)
            """
        let dockerfile = """
            FROM busybox AS base
            WORKDIR /srv
            FROM base AS api
            CMD ["sh", "-c", "mkdir -p /www && (echo $GREETING; cat /etc/page/page.html; wc -c </run/secrets/key) >/www/index.html && exec httpd -f -p 9000 -h /www"]
            FROM base AS web
            COPY --chmod=0755 api cgi-bin/api
            CMD ["httpd", "-f", "-p", "8080", "-h", "/srv"]
            """
        let script = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nwget -q -O - \"$API/\"\n"
        let folder = place.root.appending(path: "site")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for (name, text) in [("compose.yaml", compose), ("site/Dockerfile", dockerfile), ("site/api", script)] {
            try Data(text.utf8).write(to: place.root.appending(path: name))
        }
    }

    @Test("compose.yaml comes up as one group, is brought up to date, and goes down")
    func whole() async throws {
        try await AzurePlace.run { place in
            try write(place, greeting: "hello one")
            let first = try await place.coracle(["up", "-g", "demo", "--registry", "testacr"] + ShellBase.flags)

            try #require(first.status == 0, "\(first.errors)")
            let url = first.output.trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(url.hasSuffix(":8080/"), "the port of api is not opened: \(url)")
            #expect(await place.page(url + "cgi-bin/api") == "hello one\nfrom a config17\n")
            #expect(
                first.errors.contains("compose.yaml:8:18: warning: services.web.depends_on: web does not wait for api")
            )
            #expect(first.errors.contains("first is the same build"), "\(first.errors)")
            let config = try String(contentsOf: place.root.appending(path: "coracle.yaml"), encoding: .utf8)
            #expect(config.contains("name: shop\n"))
            #expect(
                config.contains("compose:\n  - compose.yaml\n") || config.contains("compose:\n  - \"compose.yaml\"\n")
            )

            try write(place, greeting: "hello two")
            let second = try await place.coracle(["up"])
            try #require(second.status == 0, "\(second.errors)")
            #expect(await place.page(url + "cgi-bin/api") == "hello two\nfrom a config17\n")

            let list = try await place.coracle(["ps"])
            #expect(list.output.contains(" api "), "\(list.output)")
            #expect(try await place.coracle(["down"]).output == "shop\n")
        }
    }

    @Test("What a group cannot do ends it before anything is built, with file, line and key")
    func refused() async throws {
        try await AzurePlace.run { place in
            try write(place, greeting: "hi", more: "volumes: {data: }")
            let compose = place.root.appending(path: "compose.yaml")
            let text = try String(contentsOf: compose, encoding: .utf8)
                .replacingOccurrences(of: "\"8080:8080\"", with: "\"80:8080\"")
            try Data(text.utf8).write(to: compose)

            let run = try await place.coracle(["up", "-g", "demo", "--registry", "testacr"] + ShellBase.flags)
            #expect(run.status == 2)
            #expect(run.errors.contains("compose.yaml:5:13: error: services.web.ports[0]: "), "\(run.errors)")
            #expect(!run.errors.contains("building"), "\(run.errors)")
            let check = try await place.coracle(["check", "compose.yaml"])
            #expect(check.status == 2)
            #expect(check.output.contains("compose.yaml:5:13: error: services.web.ports[0]: "), "\(check.output)")
            let quiet = try await place.coracle(["up", "-q", "-g", "demo", "--registry", "testacr"])
            #expect(quiet.errors.contains("compose.yaml:5:13: error: "), "\(quiet.errors)")
            let cluster = try await place.coracle(["check", "compose.yaml", "--for", "aks"])
            #expect(cluster.status == 0, "\(cluster.output)")
            let flag = try await place.coracle(["up", "-f", "compose.yaml", "-g", "demo", "--env", "A=1"])
            #expect(flag.status == 2)
            #expect(flag.errors.contains("--env is about one container"), "\(flag.errors)")
        }
    }

    @Test("On a cluster each service is a deployment, and all of them are one project")
    func cluster() async throws {
        try await AzurePlace.run(["--cluster", "shop"]) { place in
            try write(place, greeting: "hello one")
            let flags = ["--target", "aks", "--cluster", "shop", "-g", "demo", "--registry", "testacr"]
            let first = try await place.coracle(
                ["up"] + flags + ["--pull-with", "service-principal"] + ShellBase.flags
            )

            try #require(first.status == 0, "\(first.errors)")
            let lines = first.output.split(separator: "\n")
            let url = String(try #require(lines.first { $0.hasPrefix("http://") }, "\(first.output)"))
            #expect(lines.count == 2 && lines.contains("api"), "what only the cluster reaches has no URL")
            #expect(url.hasSuffix(":8080/"), "the port that the program listens on: \(url)")
            #expect(await place.page(url + "cgi-bin/api") == "hello one\nfrom a config17\n", "web reaches api by name")
            let read = ["cat", "/www/index.html"]
            let inside = try await place.coracle(["exec", "--container", "api"] + read)
            #expect(inside.output == "hello one\nfrom a config17\n", "\(inside.errors)")
            let which = try await place.coracle(["exec"] + read)
            #expect(which.errors.contains("shop has several services: api, web"), "\(which.errors)")
            let same = try await place.coracle(["diff", "--exit-code"])
            #expect(same.status == 0, "\(same.output)\(same.errors)")

            try write(place, greeting: "hello two")
            let second = try await place.coracle(["up"])
            try #require(second.status == 0, "\(second.errors)")
            #expect(await place.page(url + "cgi-bin/api") == "hello two\nfrom a config17\n")
            let list = try await place.coracle(["ps"])
            #expect(list.output.contains("api") && list.output.contains("web"), "\(list.output)")
            let down = try await place.coracle(["down"])
            #expect(down.output == "shop\n", "\(down.errors)")
            for name in ["deployment/api", "deployment/web", "configmap/shop-page", "secret/shop-key"] {
                #expect(down.errors.contains("deleted \(name)"), "\(name): \(down.errors)")
            }
        }
    }

    @Test("Plans and templates are of the whole group; manifests of every service")
    func templates() async throws {
        try await AzurePlace.run { place in
            try write(place, greeting: "hi")
            let flags = ["up", "-g", "demo", "--registry", "testacr"] + ShellBase.flags
            for mode in [["--emit", "arm"], ["--emit", "bicep"], ["--emit", "az"], ["--dry-run"]] {
                let run = try await place.coracle(flags + mode)
                #expect(run.status == 0, "\(run.errors)")
                #expect(run.output.contains("api"))
            }
            let manifests = try await place.coracle(
                ["up", "--registry", place.registry, "--target", "aks", "--emit", "k8s"] + ShellBase.flags
            )
            try #require(manifests.status == 0, "\(manifests.errors)")
            for line in ["kind: Deployment", "name: api", "name: web", "initContainers:", "value: http://api:9000"] {
                #expect(manifests.output.contains(line), "\(line): \(manifests.output)")
            }
            try write(place, greeting: "hi", isOpen: false)
            let closed = try await place.coracle(
                ["up", "--registry", place.registry, "--target", "aks", "--emit", "k8s"] + ShellBase.flags
            )
            #expect(closed.errors.contains("api has no port, so that web does not reach it"), "\(closed.errors)")
        }
    }
}
