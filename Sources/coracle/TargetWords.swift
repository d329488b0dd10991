// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser

/// What flags that several targets share are said to do: help speaks of the target that it is asked for.
protocol TargetWords: Sendable {
    static var port: ArgumentHelp { get }
    static var secureEnv: String { get }
    static var envRm: ArgumentHelp { get }
    static var cpu: ArgumentHelp { get }
    static var memory: ArgumentHelp { get }
    static var memoryLimit: ArgumentHelp { get }
    static var volume: ArgumentHelp { get }
    static var liveness: ArgumentHelp { get }
    static var file: ArgumentHelp { get }
    static var registry: String { get }
    static var emit: String { get }
}

extension TargetWords {
    static var file: ArgumentHelp { "The Dockerfile; Dockerfile in the context by default." }
}

/// Container Instances.
enum GroupWords: TargetWords {
    static let port = ArgumentHelp(
        "A port that it listens on, PORT[/udp]; those of EXPOSE by default.",
        valueName: "port"
    )
    static let secureEnv =
        "A variable that nobody can read again: NAME (from here), NAME=env:VARIABLE, NAME=file:PATH, NAME=value."
    static let envRm = ArgumentHelp("A variable that goes; those that are not mentioned stay.", valueName: "name")
    static let cpu: ArgumentHelp = "Processors that are kept for it; 1 by default."
    static let memory: ArgumentHelp = "Gigabytes of memory that are kept for it; 1.5 by default."
    static let memoryLimit: ArgumentHelp = "The most gigabytes of memory that it may use."
    static let volume = ArgumentHelp(
        "A volume: NAME:PATH[:ro], or type=TYPE,name=NAME,target=PATH[,readonly],….",
        discussion:
            "azureFile has share=, account=, key=env:VARIABLE; secret has FILE=file:PATH or FILE=env:VARIABLE; gitRepo has "
            + "repository=, directory=, revision=; emptyDir has nothing more.",
        valueName: "volume"
    )
    static let liveness = ArgumentHelp(
        "How to see that it works: http:PORT/PATH, exec:COMMAND or none; HEALTHCHECK by default.",
        discussion: ",delay=SECONDS ,period= ,timeout= and ,failures= may follow.",
        valueName: "probe"
    )
    static let registry = "Where what is built goes: a host, or the name of one of Azure's; the group's by default."
    static let emit = "Write it as a template without secrets: arm, bicep, or az for a script."
}

/// Kubernetes.
enum ClusterWords: TargetWords {
    static let port = ArgumentHelp(
        "A port that it listens on, [SERVICE:]PORT[/udp]; those of EXPOSE by default.",
        discussion: "SERVICE:PORT has another number at the Service.",
        valueName: "port"
    )
    static let secureEnv =
        "A variable that is kept in a Secret: NAME (from here), NAME=env:VARIABLE, NAME=file:PATH, NAME=value."
    static let envRm = ArgumentHelp(
        "A variable that goes, or config/NAME or secret/NAME of --env-from; those that are not mentioned stay.",
        valueName: "name"
    )
    static let cpu: ArgumentHelp = "Processors that are kept for it, 0.5 or 500m; 100m by default."
    static let memory = ArgumentHelp(
        "Memory that is kept for it, 512Mi, or 1.5 for gigabytes; 128Mi by default.",
        discussion: "It is the limit too, unless --memory-limit says another."
    )
    static let memoryLimit: ArgumentHelp = "The most memory that it may use, as --memory."
    static let volume = ArgumentHelp(
        "A volume: NAME:PATH[:ro], or type=TYPE,name=NAME,target=PATH[,readonly],….",
        discussion:
            "secret and configMap have FILE=file:PATH or FILE=env:VARIABLE; claim has size=, class=, access=; emptyDir has "
            + "nothing more; secret=NAME, config=NAME and claim=NAME are of what is there.",
        valueName: "volume"
    )
    static let liveness = ArgumentHelp(
        "How to see that it works: http:PORT/PATH, tcp:PORT, grpc:PORT, exec:COMMAND or none; HEALTHCHECK by default.",
        discussion: ",delay=SECONDS ,period= ,timeout= and ,failures= may follow.",
        valueName: "probe"
    )
    static let registry =
        "Where what is built goes: a host, or the name of one of Azure's; the only one of --resource-group by default."
    static let emit = "Write it as manifests without secrets: k8s."
}

/// Either of them, as `coracle.yaml` or a flag says.
enum EveryWords: TargetWords {
    static let port = ArgumentHelp(
        "A port that it listens on, PORT[/udp]; those of EXPOSE by default.",
        discussion: "On Kubernetes SERVICE:PORT has another number at the Service.",
        valueName: "port"
    )
    static let secureEnv = GroupWords.secureEnv
    static let envRm = ArgumentHelp(
        "A variable that goes; those that are not mentioned stay.",
        discussion: "On Kubernetes also config/NAME or secret/NAME of --env-from.",
        valueName: "name"
    )
    static let cpu: ArgumentHelp = "Processors that are kept for it; 1 by default, on Kubernetes 100m."
    static let memory = ArgumentHelp(
        "Gigabytes of memory that are kept for it; 1.5 by default, on Kubernetes 128Mi.",
        discussion: "On Kubernetes also 512Mi; it is the limit too, unless --memory-limit says another."
    )
    static let memoryLimit: ArgumentHelp = "The most gigabytes of memory that it may use."
    static let volume = ArgumentHelp(
        "A volume: NAME:PATH[:ro], or type=TYPE,name=NAME,target=PATH[,readonly],….",
        discussion:
            "azureFile has share=, account=, key=env:VARIABLE; secret has FILE=file:PATH or FILE=env:VARIABLE; emptyDir "
            + "has nothing more. On Container Instances gitRepo has repository=, directory=, revision=. On Kubernetes "
            + "configMap is as secret, claim has size=, class=, access=; secret=NAME, config=NAME and claim=NAME are of "
            + "what is there.",
        valueName: "volume"
    )
    static let liveness = ArgumentHelp(
        "How to see that it works: http:PORT/PATH, exec:COMMAND or none; HEALTHCHECK by default.",
        discussion:
            "On Kubernetes also tcp:PORT and grpc:PORT. ,delay=SECONDS ,period= ,timeout= and ,failures= may follow.",
        valueName: "probe"
    )
    static let file: ArgumentHelp = "The Dockerfile; Dockerfile in the context by default. Also compose files."
    static let registry = GroupWords.registry
    static let emit = "Write it as a template without secrets: arm, bicep, az for a script, or k8s for manifests."
}
