// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// What a deployment on a cluster is called, and how it is reached and pulled.
struct ClusterPlaceFlags: ParsableArguments {
    @Option(name: .shortAndLong, help: "What the deployment is called.")
    var name: String?

    @Option(
        name: [.customShort("g"), .long],
        help: ArgumentHelp("The resource group of --cluster, and of a registry that nothing names.", valueName: "group")
    )
    var resourceGroup: String?

    @Option(
        help: ArgumentHelp(
            "Who reaches it: cluster, the default; private, an address in the virtual network; public; or none.",
            valueName: "who"
        )
    )
    var ip: String?

    @Option(
        help: ArgumentHelp("The first part of its name in the world; --ip public follows from it.", valueName: "label")
    )
    var dnsLabel: String?

    @Option(
        help: ArgumentHelp(
            "What pulls images: auto, kubelet, anonymous, admin, service-principal, secret=NAME, user=NAME.",
            discussion:
                "auto needs nothing where the image is public; at Azure's registries it is the identity of the cluster's "
                + "nodes, whose role is looked at; else a Secret is made of what coracle login kept. The password of "
                + "user=NAME is CORACLE_PULL_PASSWORD, or what coracle login kept.",
            valueName: "what"
        )
    )
    var pullWith: String?

    func apply(to options: inout DeployOptions) {
        (options.resourceGroup, options.name, options.pull) = (resourceGroup, name, pullWith)
        (options.reach, options.dnsLabel) = (ip, dnsLabel)
    }
}

/// Which cluster, as whom, in which namespace.
struct ClusterAccessFlags: ParsableArguments {
    @Option(help: "A cluster of Azure Kubernetes Service; else the kubeconfig says which.")
    var cluster: String?

    @Flag(help: "Be the administrator of --cluster, whom it may not have.")
    var admin = false

    @Option(help: ArgumentHelp("A kubeconfig; else KUBECONFIG, else ~/.kube/config.", valueName: "file"))
    var kubeconfig: String?

    @Option(help: ArgumentHelp("A context of the kubeconfig; else its current one.", valueName: "name"))
    var kubeContext: String?

    @Option(help: "The namespace; else that of the context.")
    var namespace: String?

    func apply(to options: inout DeployOptions) {
        (options.cluster, options.kubeconfig, options.kubeContext) = (cluster, kubeconfig, kubeContext)
        (options.namespace, options.adminAccess) = (namespace, admin ? "true" : nil)
    }
}

/// What only Kubernetes has.
struct ClusterFlags: ParsableArguments {
    @Flag(help: "Make the namespace where it is not there.")
    var createNamespace = false

    @Option(help: ArgumentHelp("What images have to run on; linux/amd64 by default.", valueName: "platform"))
    var platform: String?

    @Option(help: ArgumentHelp("How many pods there are; 1 by default.", valueName: "number"))
    var replicas: String?

    @Option(help: ArgumentHelp("The fewest pods where their number goes by load.", valueName: "number"))
    var minReplicas: String?

    @Option(help: ArgumentHelp("The most pods; makes a HorizontalPodAutoscaler.", valueName: "number"))
    var maxReplicas: String?

    @Option(
        help: ArgumentHelp("The share of --cpu that pods should use on average; 80 by default.", valueName: "percent")
    )
    var targetCpu: String?

    @Option(help: ArgumentHelp("The share of --memory that pods should use on average.", valueName: "percent"))
    var targetMemory: String?

    @Option(
        help: ArgumentHelp(
            "How a new version comes: rolling[,surge=1,unavailable=0] or recreate.",
            discussion: "recreate is the default where a claim can be on one node only.",
            valueName: "how"
        )
    )
    var strategy: String?

    @Option(help: ArgumentHelp("How long a rollout may make no progress; 600 by default.", valueName: "seconds"))
    var progressDeadline: String?

    @Option(
        help: ArgumentHelp(
            "How many pods may be away while nodes are drained, or none for no say; 1 where there are several.",
            valueName: "number"
        )
    )
    var disruptions: String?

    @Option(help: ArgumentHelp("What it is part of, for app.kubernetes.io/part-of.", valueName: "name"))
    var partOf: String?

    @Option(help: ArgumentHelp("A label of all objects, NAME=value.", valueName: "label"))
    var label: [String] = []

    @Option(
        help: ArgumentHelp(
            "An annotation, [deployment:|pod:|service:|ingress:]NAME=value.",
            valueName: "annotation"
        )
    )
    var annotation: [String] = []

    @Option(help: ArgumentHelp("Liveness and readiness by a request, /PATH:PORT.", valueName: "probe"))
    var httpProbe: String?

    @Option(help: ArgumentHelp("How to see that it has started, as --liveness.", valueName: "probe"))
    var startup: String?

    @Option(
        help: ArgumentHelp(
            "Variables of what is there: config/NAME or secret/NAME[,prefix=TEXT].",
            valueName: "source"
        )
    )
    var envFrom: [String] = []

    @Option(help: ArgumentHelp("Who it runs as, USER[:GROUP] as numbers; USER by default.", valueName: "user"))
    var runAs: String?

    @Option(
        help: ArgumentHelp(
            "Whether its root file system can only be read: auto, yes or no.",
            discussion: "auto where the image's user can write nowhere but in /tmp and volumes, which it keeps.",
            valueName: "when"
        )
    )
    var readOnlyRoot: String?

    @Option(help: ArgumentHelp("A capability that it keeps; all are dropped.", valueName: "name"))
    var capAdd: [String] = []

    @Option(help: ArgumentHelp("What the Service is called; the deployment's name by default.", valueName: "name"))
    var serviceName: String?

    @Option(help: ArgumentHelp("A host that it answers to in the world, HOST[/PATH].", valueName: "host"))
    var ingress: [String] = []

    @Option(
        help: ArgumentHelp(
            "What serves the Ingress; on AKS webapprouting.kubernetes.azure.com; the cluster's default.",
            valueName: "class"
        )
    )
    var ingressClass: String?

    @Option(help: ArgumentHelp("The Secret with the certificate of its hosts.", valueName: "secret"))
    var ingressTls: String?

    @Option(help: ArgumentHelp("The service account; else the default one, without its token.", valueName: "name"))
    var serviceAccount: String?

    @Option(help: ArgumentHelp("A label that nodes must have, NAME=value.", valueName: "label"))
    var node: [String] = []

    @Option(help: ArgumentHelp("A taint of nodes that it takes, KEY[=VALUE][:EFFECT].", valueName: "taint"))
    var toleration: [String] = []

    @Option(help: ArgumentHelp("From the signal that ends it until it is killed; 30 by default.", valueName: "seconds"))
    var grace: String?

    @Option(help: ArgumentHelp("How long it goes on before that signal, for balancers.", valueName: "seconds"))
    var drain: String?

    @Flag(help: "Take fields that others own.")
    var forceConflicts = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Where --emit k8s goes, a folder for kustomize.", valueName: "folder")
    )
    var output: String?

    func apply(to deploy: inout DeployImage) throws {
        (deploy.takesOver, deploy.folder) = (forceConflicts, output)
        if output != nil {
            guard case .emit("k8s") = deploy.mode else { throw ExitReason(.usage, "-o is where --emit k8s goes") }
        }
        apply(to: &deploy.options)
    }

    private func apply(to options: inout DeployOptions) {
        options.makesNamespace = createNamespace ? "true" : nil
        (options.platform, options.replicas) = (platform, replicas)
        (options.minimumReplicas, options.maximumReplicas) = (minReplicas, maxReplicas)
        (options.targetCPU, options.targetMemory, options.strategy) = (targetCpu, targetMemory, strategy)
        (options.progressDeadline, options.disruptions, options.partOf) = (progressDeadline, disruptions, partOf)
        (options.labels, options.annotations) = (label, annotation)
        (options.httpProbe, options.startup, options.environmentSources) = (httpProbe, startup, envFrom)
        (options.runAs, options.readOnlyRoot, options.capabilities) = (runAs, readOnlyRoot, capAdd)
        (options.serviceName, options.ingress) = (serviceName, ingress)
        (options.ingressClass, options.ingressCertificate) = (ingressClass, ingressTls)
        (options.serviceAccount, options.nodes, options.tolerations) = (serviceAccount, node, toleration)
        (options.grace, options.drain) = (grace, drain)
    }
}
