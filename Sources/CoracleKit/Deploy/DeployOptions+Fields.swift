// SPDX-License-Identifier: Apache-2.0

extension DeployOptions {
    /// A text of `coracle.yaml` and what it is here.
    typealias Text = WritableKeyPath<DeployOptions, String?> & Sendable
    /// A list of `coracle.yaml` and what it is here.
    typealias List = WritableKeyPath<DeployOptions, [String]> & Sendable

    /// How a setting is kept.
    enum Field {
        case text(any Text)
        case list(any List)
    }

    /// The settings that `coracle.yaml` has, in the order in which it has them.
    static let fields = sharedFields + clusterFields

    /// The settings of Container Instances, most of which Kubernetes has too.
    private static let sharedFields: [(name: String, field: Field)] = [
        ("target", .text(\.target)), ("resource-group", .text(\.resourceGroup)), ("name", .text(\.name)),
        ("registry", .text(\.registry)), ("repository", .text(\.repository)), ("context", .text(\.context)),
        ("file", .text(\.file)), ("build-target", .text(\.stage)), ("build-arg", .list(\.buildArguments)),
        ("build-context", .list(\.buildContexts)),
        ("image", .text(\.image)), ("subscription", .text(\.subscription)), ("location", .text(\.location)),
        ("port", .list(\.ports)), ("ip", .text(\.reach)), ("dns-label", .text(\.dnsLabel)),
        ("dns-scope", .text(\.dnsScope)), ("env", .list(\.environment)), ("env-file", .list(\.environmentFiles)),
        ("secure-env", .list(\.secureEnvironment)), ("command", .text(\.command)), ("cpu", .text(\.cpu)),
        ("memory", .text(\.memory)), ("cpu-limit", .text(\.cpuLimit)), ("memory-limit", .text(\.memoryLimit)),
        ("restart-policy", .text(\.restartPolicy)), ("identity", .list(\.identities)), ("pull-with", .text(\.pull)),
        ("volume", .list(\.volumes)), ("liveness", .text(\.liveness)), ("readiness", .text(\.readiness)),
        ("subnet", .text(\.subnet)), ("zone", .list(\.zones)), ("tag", .list(\.tags)), ("sku", .text(\.sku)),
        ("priority", .text(\.priority)), ("container-name", .text(\.containerName)),
        ("container", .list(\.containers)), ("secret-source", .list(\.secretSources)),
        ("compose", .list(\.composeFiles)), ("profile", .list(\.profiles)),
    ]

    /// The settings that only Kubernetes has, in the order in which `coracle.yaml` has them.
    static let clusterFields: [(name: String, field: Field)] = [
        ("cluster", .text(\.cluster)),
        ("admin", .text(\.adminAccess)),
        ("kubeconfig", .text(\.kubeconfig)),
        ("kube-context", .text(\.kubeContext)),
        ("namespace", .text(\.namespace)),
        ("create-namespace", .text(\.makesNamespace)),
        ("platform", .text(\.platform)),
        ("replicas", .text(\.replicas)),
        ("min-replicas", .text(\.minimumReplicas)),
        ("max-replicas", .text(\.maximumReplicas)),
        ("target-cpu", .text(\.targetCPU)),
        ("target-memory", .text(\.targetMemory)),
        ("strategy", .text(\.strategy)),
        ("progress-deadline", .text(\.progressDeadline)),
        ("disruptions", .text(\.disruptions)),
        ("part-of", .text(\.partOf)),
        ("label", .list(\.labels)),
        ("annotation", .list(\.annotations)),
        ("http-probe", .text(\.httpProbe)),
        ("startup", .text(\.startup)),
        ("env-from", .list(\.environmentSources)),
        ("run-as", .text(\.runAs)),
        ("read-only-root", .text(\.readOnlyRoot)),
        ("cap-add", .list(\.capabilities)),
        ("service-name", .text(\.serviceName)),
        ("ingress", .list(\.ingress)),
        ("ingress-class", .text(\.ingressClass)),
        ("ingress-tls", .text(\.ingressCertificate)),
        ("service-account", .text(\.serviceAccount)),
        ("node", .list(\.nodes)),
        ("toleration", .list(\.tolerations)),
        ("grace", .text(\.grace)),
        ("drain", .text(\.drain)),
    ]

    /// What is said here, and for the rest what is remembered.
    ///
    /// - Parameter remembered: What `coracle.yaml` says.
    /// - Returns: Both.
    func over(_ remembered: DeployOptions) -> DeployOptions {
        var result = self
        for (_, field) in Self.fields {
            switch field {
            case .text(let path): result[keyPath: path] = self[keyPath: path] ?? remembered[keyPath: path]
            case .list(let path): if self[keyPath: path].isEmpty { result[keyPath: path] = remembered[keyPath: path] }
            }
        }
        // Variables are added to those that are remembered, of another value in place of them, or are forgotten.
        result.environment = joined(environment, remembered.environment)
        result.secureEnvironment = joined(secureEnvironment, remembered.secureEnvironment)
        result.environmentSources = joined(environmentSources, remembered.environmentSources)
        // An image that is named now is not built, and the other way round; several services are neither.
        if image != nil {
            (result.context, result.file) = (context, file)
        } else if context != nil {
            result.image = nil
        }
        if image != nil || context != nil {
            (result.composeFiles, result.profiles) = (composeFiles, profiles)
        } else if !composeFiles.isEmpty {
            (result.context, result.file, result.image) = (nil, nil, nil)
        }
        return result
    }
}

extension DeployOptions {
    /// Variables that are said now, behind those that are remembered and neither said again nor taken away.
    private func joined(_ now: [String], _ remembered: [String]) -> [String] {
        let name = { (text: String) in String(text.prefix { $0 != "=" && $0 != "," }) }
        let said = Set((environment + secureEnvironment + environmentSources).map(name)).union(removedVariables)
        return remembered.filter { !said.contains(name($0)) } + now
    }

    /// Settings that only Container Instances has.
    private static let groupNames: Set<String> = [
        "location", "dns-scope", "restart-policy", "identity", "subnet", "zone", "tag", "sku", "priority",
        "container-name", "secret-source",
    ]

    /// Refuses what the target does not have: nothing that somebody said is dropped in silence.
    ///
    /// - Parameter target: `aci` or `aks`.
    /// - Throws: ``ExitReason`` that names the first of them.
    func refuseForeign(to target: String) throws(ExitReason) {
        let names = target == "aks" ? Self.groupNames : Set(Self.clusterFields.map(\.name))
        var said = Self.fields.filter { names.contains($0.name) && isSaid($0.field) }.map(\.name)
        if target == "aks" {
            if !removedContainers.isEmpty { said.append("container-rm") }
        }
        guard let name = said.first else { return }
        let hints = [
            "subnet": "a cluster's nodes have their network: --ip private is reached in it",
            "identity": "--service-account NAME, with the annotation that workload identity reads",
            "zone": "--node topology.kubernetes.io/zone=REGION-1",
            "tag": "--label NAME=value",
            "restart-policy": "pods of a Deployment are always started again",
            "container-rm": "what is not said is not there: leave the container out",
            "location": "a cluster is where it is: --cluster NAME",
        ]
        throw ExitReason(
            .usage,
            target == "aks"
                ? "--\(name) is of Container Instances, and the target is Kubernetes"
                : "--\(name) is of Kubernetes, and the target is Container Instances",
            hint: target == "aks" ? hints[name] ?? "leave it out" : "coracle deploy aks, or coracle up --target aks"
        )
    }

    private func isSaid(_ field: Field) -> Bool {
        switch field {
        case .text(let path): self[keyPath: path] != nil
        case .list(let path): !self[keyPath: path].isEmpty
        }
    }
}
