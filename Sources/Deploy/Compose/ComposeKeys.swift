// SPDX-License-Identifier: Apache-2.0

extension ComposeKey {
    /// Every key that is not the same everywhere; what is not here is expressed, or checked where it is read.
    static let all: [ComposeKey] = services + parts + resources + deployment + builds + elsewhere

    private static let alike = "it tunes a machine that is not ours"
    private static let ours = "it is about the machine that Compose runs on"
    private static let gpu = "there are no GPUs on Container Instances since July 2025"

    private static let services: [ComposeKey] = [
        .init("services.*.annotations", .harmless("containers of a group have no annotations"), .expressed),
        .init("services.*.attach", both: .harmless(ours)),
        .init(
            "services.*.cap_add",
            .refused("Container Instances gives no capabilities beyond the usual ones", "run it on AKS, or without"),
            .expressed
        ),
        .init(
            "services.*.cap_drop",
            .harmless("all containers have the usual capabilities"),
            .harmless("all are dropped, but those that root needs to become somebody else, and those of cap_add")
        ),
        .init("services.*.cgroup", both: .refused("the host's control groups are not for containers")),
        .init("services.*.cgroup_parent", both: .harmless(alike)),
        .init("services.*.container_name", both: .harmless("it is called like its service")),
        .init("services.*.credential_spec", both: .refused("there are no Windows containers here")),
        .init("services.*.develop", both: .harmless(ours)),
        .init("services.*.device_cgroup_rules", both: .refused("there are no devices of a host")),
        .init("services.*.devices", both: .refused("there are no devices of a host")),
        .init("services.*.dns", .refused("a group asks Azure's name servers"), .expressed),
        .init("services.*.dns_opt", .refused("a group asks Azure's name servers"), .expressed),
        .init("services.*.dns_search", .refused("a group asks Azure's name servers"), .expressed),
        .init("services.*.domainname", .expressed, .harmless("pods are in the domain of their cluster")),
        .init("services.*.external_links", both: .refused("there are no containers outside of the project")),
        .init(
            "services.*.extra_hosts",
            .refused("names cannot be given to a container group", "x-aci: environment: with the address itself"),
            .expressed
        ),
        .init(
            "services.*.gpus",
            .refused(gpu),
            .refused("GPUs are not asked for here", "x-aks: resources: nvidia.com/gpu: 1")
        ),
        .init(
            "services.*.group_add",
            both: .refused("further groups cannot be given", "USER user:group in the Dockerfile")
        ),
        .init("services.*.hostname", .harmless("the group's containers share a name that Azure gives"), .expressed),
        .init("services.*.init", both: .harmless("its program is the first process: it has to reap its children")),
        .init("services.*.ipc", both: .refused("containers share no memory with others")),
        .init("services.*.isolation", both: .refused("there are no Windows containers here")),
        .init("services.*.labels", .harmless("containers of a group have no labels"), .expressed),
        .init(
            "services.*.label_file",
            .harmless("containers of a group have no labels"),
            .refused("labels are read from the compose file only", "labels:")
        ),
        .init("services.*.logging", both: .harmless("logs are kept where coracle logs reads them")),
        .init("services.*.mac_address", both: .refused("the network's addresses are given by Azure")),
        .init(
            "services.*.models",
            both: .refused("there is no runner of models", "a service of its own that serves it")
        ),
        .init("services.*.pid", both: .refused("processes of others are not to be seen")),
        .init(
            "services.*.post_start",
            both: .refused("nothing is run in a container after its start", "put it into the entrypoint")
        ),
        .init(
            "services.*.pre_start",
            both: .refused("no step before the start yet", "put it into the entrypoint")
        ),
        .init(
            "services.*.pre_stop",
            both: .refused("nothing is run in a container before its end", "let it handle SIGTERM")
        ),
        .init(
            "services.*.privileged",
            .refused("Container Instances has no privileged containers", "run it on AKS"),
            .expressed
        ),
        .init("services.*.provider", both: .refused("no other program makes services", "run it for itself, before")),
        .init("services.*.pull_policy", both: .harmless("images are pulled by their digests")),
        .init("services.*.pull_refresh_after", both: .harmless("images are pulled by their digests")),
        .init("services.*.read_only", .harmless("the root of its files stays writable"), .expressed),
        .init("services.*.runtime", both: .harmless("Azure chooses the runtime")),
        .init(
            "services.*.security_opt",
            .harmless("all containers have the usual rights, each group in a machine of its own"),
            .expressed
        ),
        .init("services.*.stdin_open", .harmless("nobody is at its standard input"), .expressed),
        .init("services.*.stop_grace_period", .harmless("Azure decides how long it waits"), .expressed),
        .init("services.*.stop_signal", both: .harmless("it gets SIGTERM: STOPSIGNAL is the image's")),
        .init("services.*.storage_opt", both: .harmless(alike)),
        .init("services.*.sysctls", .refused("kernel parameters cannot be set"), .expressed),
        .init("services.*.tty", .harmless("nobody is at its terminal"), .expressed),
        .init("services.*.ulimits", both: .harmless("limits of processes are those of the node")),
        .init("services.*.use_api_socket", both: .refused("there is no engine to ask")),
        .init(
            "services.*.user",
            .refused("the user cannot be chosen", "USER in the Dockerfile"),
            .expressed
        ),
        .init("services.*.userns_mode", both: .refused("the host's users are not for containers")),
        .init("services.*.uts", both: .refused("the host's name is not for containers")),
        .init(
            "services.*.volumes_from",
            both: .refused("volumes are mounted by their names", "volumes: in both services")
        ),
        .init(
            "services.*.working_dir",
            .refused("the folder cannot be chosen", "WORKDIR in the Dockerfile"),
            .expressed
        ),
    ]

    private static let owner = "files belong to root"
    private static let oneNetwork = "there is one network for all"

    /// What stands within others.
    private static let parts: [ComposeKey] = [
        .init("services.*.depends_on.*.restart", both: .harmless("each service starts again by itself")),
        .init("services.*.ports[].app_protocol", both: .harmless("the port is opened whatever is spoken there")),
        .init("services.*.ports[].mode", both: .harmless("a port is opened once for all")),
        .init("services.*.ports[].name", .harmless("ports of a group have no names"), .expressed),
        .init("services.*.volumes[].consistency", both: .harmless(ours)),
        .init("services.*.volumes[].tmpfs.mode", both: .harmless("everybody may write there")),
        .init("services.*.volumes[].volume.labels", both: .harmless("they say nothing at the target")),
        .init("services.*.configs[].uid", both: .harmless(owner)),
        .init("services.*.configs[].gid", both: .harmless(owner)),
        .init("services.*.secrets[].uid", both: .harmless(owner)),
        .init("services.*.secrets[].gid", both: .harmless(owner)),
        .init("services.*.networks.*.aliases", .harmless("containers of a group have no names"), .expressed),
        .init("services.*.networks.*.driver_opts", both: .harmless(oneNetwork)),
        .init("services.*.networks.*.gw_priority", both: .harmless(oneNetwork)),
        .init("services.*.networks.*.interface_name", both: .harmless(oneNetwork)),
        .init("services.*.networks.*.priority", both: .harmless(oneNetwork)),
        .init(
            "services.*.networks.*.ipv4_address",
            both: .refused("addresses are given by Azure", "reach it by its name")
        ),
        .init(
            "services.*.networks.*.ipv6_address",
            both: .refused("addresses are given by Azure", "reach it by its name")
        ),
        .init("services.*.networks.*.link_local_ips", both: .refused("addresses are given by Azure")),
        .init("services.*.networks.*.mac_address", both: .refused("addresses are given by Azure")),
    ]

    private static let resources: [ComposeKey] = [
        .init("services.*.blkio_config", both: .harmless(alike)),
        .init("services.*.cpu_count", both: .harmless("it is of Windows: deploy.resources.limits.cpus")),
        .init("services.*.cpu_percent", both: .harmless("it is of Windows: deploy.resources.limits.cpus")),
        .init("services.*.cpu_rt_period", both: .harmless(alike)),
        .init("services.*.cpu_rt_runtime", both: .harmless(alike)),
        .init("services.*.cpu_shares", both: .harmless("processors are kept by deploy.resources.reservations.cpus")),
        .init("services.*.cpuset", both: .harmless(alike)),
        .init("services.*.mem_swappiness", both: .harmless("nothing is swapped out")),
        .init("services.*.memswap_limit", both: .harmless("nothing is swapped out")),
        .init("services.*.oom_kill_disable", both: .harmless(alike)),
        .init("services.*.oom_score_adj", both: .harmless(alike)),
        .init("services.*.pids_limit", both: .harmless("the number of processes is the node's to limit")),
        .init("services.*.shm_size", .harmless("it is 64 MB"), .expressed),
    ]

    private static let deployment: [ComposeKey] = [
        .init(
            "services.*.deploy.mode",
            both: .refused(
                "a service has a number of replicas",
                "mode: replicated; what ends by itself runs before others"
            )
        ),
        .init("services.*.deploy.endpoint_mode", both: .harmless("there is one address for all")),
        .init("services.*.deploy.labels", .harmless("containers of a group have no labels"), .expressed),
        .init(
            "services.*.deploy.placement",
            both: .refused("nodes are not chosen by Docker's labels", "x-aks: nodes:")
        ),
        .init(
            "services.*.deploy.resources.limits.pids",
            both: .harmless("the number of processes is the node's to limit")
        ),
        .init(
            "services.*.deploy.resources.reservations.devices",
            .refused(gpu),
            .refused("devices are not asked for here", "x-aks: resources: nvidia.com/gpu: 1")
        ),
        .init(
            "services.*.deploy.resources.reservations.generic_resources",
            both: .refused("there are no such resources")
        ),
        .init("services.*.deploy.restart_policy.delay", both: .harmless("it starts again sooner or later by itself")),
        .init("services.*.deploy.restart_policy.max_attempts", both: .harmless("it is tried without end")),
        .init("services.*.deploy.restart_policy.window", both: .harmless("it is tried without end")),
        .init("services.*.deploy.rollback_config", both: .harmless("what does not work goes back as a whole")),
        .init(
            "services.*.deploy.update_config",
            .harmless("all containers of a group start again at once"),
            .expressed
        ),
        .init("services.*.deploy.update_config.delay", both: .harmless("the next goes once a new one is ready")),
        .init("services.*.deploy.update_config.failure_action", both: .harmless("what does not work goes back")),
        .init("services.*.deploy.update_config.max_failure_ratio", both: .harmless("what does not work goes back")),
        .init("services.*.deploy.update_config.monitor", both: .harmless("it is watched until it works")),
        .init("services.*.healthcheck.start_interval", both: .harmless("the interval is one")),
    ]

    private static let builds: [ComposeKey] = [
        .init("services.*.build.isolation", both: .refused("there are no Windows containers here")),
        .init(
            "services.*.build.privileged",
            both: .refused("steps are not privileged", "entitlements: [security.insecure]")
        ),
        .init(
            "services.*.build.provenance",
            both: .harmless("no attestation is made: Container Instances trips over it")
        ),
        .init("services.*.build.sbom", both: .harmless("no attestation is made: Container Instances trips over it")),
    ]

    private static let elsewhere: [ComposeKey] = [
        .init("models", both: .refused("there is no runner of models", "a service of its own that serves it")),
        .init("networks.*.driver", both: .harmless(oneNetwork)),
        .init("networks.*.driver_opts", both: .harmless(oneNetwork)),
        .init("networks.*.ipam", both: .harmless("addresses are given by Azure")),
        .init(
            "networks.*.internal",
            both: .harmless("nothing keeps its services from the world: that is for a firewall")
        ),
        .init("networks.*.attachable", both: .harmless(oneNetwork)),
        .init("networks.*.enable_ipv4", both: .harmless("addresses are given by Azure")),
        .init("networks.*.enable_ipv6", both: .harmless("addresses are given by Azure")),
        .init("networks.*.external", both: .harmless("there is one network for all: --subnet NAME names another")),
        .init("networks.*.labels", both: .harmless(oneNetwork)),
        .init("networks.*.name", both: .harmless(oneNetwork)),
        .init(
            "volumes.*.labels",
            .harmless("volumes of a group have no labels"),
            .harmless("they say nothing to a cluster")
        ),
        .init("configs.*.labels", both: .harmless("they say nothing at the target")),
        .init("secrets.*.labels", both: .harmless("they say nothing at the target")),
        .init(
            "configs.*.template_driver",
            both: .refused("there are no templates", "variables of the file itself: content: with ${…}")
        ),
        .init("secrets.*.template_driver", both: .refused("there are no templates")),
        .init(
            "secrets.*.driver",
            both: .refused("secrets are files or variables of this machine", "file: or environment:")
        ),
    ]
}
