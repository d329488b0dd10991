// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// What commands of a build are given, and what they are allowed.
struct RunFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A secret for RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE.",
            discussion:
                "GIT_AUTH_TOKEN and GIT_AUTH_HEADER are shown to git servers over HTTP, as git contexts and ADD need them; "
                + "GIT_AUTH_TOKEN.HOST to that host only."
        )
    )
    var secret: [String] = []

    @Option(help: "An SSH agent for RUN --mount=type=ssh: ID, ID=SOCKET or ID=KEYFILE.")
    var ssh: [String] = []

    @Option(help: "The network of commands: default, host or none.")
    var network = "default"

    @Option(name: .customLong("add-host"), help: "A further name in /etc/hosts: NAME:ADDRESS or NAME:host-gateway.")
    var hosts: [String] = []

    @Option(
        help: ArgumentHelp(
            "Allow what is refused otherwise: security.insecure or network.host; may be given several times.",
            discussion:
                "security.insecure lets RUN --security=insecure have every right that you have, without the filter of "
                + "system calls. network.host is taken as docker build takes it, and changes nothing: commands are in this "
                + "machine's network unless they say RUN --network=none.",
            valueName: "right"
        )
    )
    var allow: [String] = []

    @Option(name: .customLong("shm-size"), help: "The size of /dev/shm, for example 128MiB.")
    var sharedMemory: String?

    @Option(help: "A limit of processes, NAME=SOFT[:HARD], for example nofile=1024:4096.")
    var ulimit: [String] = []

    @Option(name: .shortAndLong, help: "The most memory a command may use, for example 2GiB; needs a cgroup of ours.")
    var memory: String?

    @Option(help: "The most processors a command may use, for example 1.5; needs a cgroup of ours.")
    var cpus: String?

    @Option(help: "How commands are kept apart: auto, namespaces, chroot, oci, oci=runc or oci=crun.")
    var isolation = "auto"

    @Option(name: .customLong("on-fail"), help: "What to do when a command fails: stop, or shell to look around.")
    var onFail = "stop"

    func apply(to build: inout Build) {
        var options = RunOptions()
        (options.secrets, options.agents, options.network, options.hosts) = (secret, ssh, network, hosts)
        (options.allowed, options.sharedMemory, options.limits) = (allow, sharedMemory, ulimit)
        (options.memory, options.processors, options.isolation, options.onFail) = (memory, cpus, isolation, onFail)
        build.run = options
    }
}
