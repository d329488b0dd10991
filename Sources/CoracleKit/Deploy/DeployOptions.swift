// SPDX-License-Identifier: Apache-2.0

/// What is deployed and how, as flags and `coracle.yaml` say it: texts as people write them, read in one place.
///
/// What is `nil` or empty was not said. No secret is in it but those of ``secureEnvironment``, which are not written to
/// files.
public struct DeployOptions: Sendable {
    /// `--target`: `aci`, the default, or `aks`.
    public var target: String?
    /// `--resource-group`.
    public var resourceGroup: String?
    /// `--name`.
    public var name: String?
    /// `--subscription`.
    public var subscription: String?
    /// `--location`.
    public var location: String?
    /// The build context, a folder.
    public var context: String?
    /// `--file`: the Dockerfile.
    public var file: String?
    /// `--build-target`: the stage to build.
    public var stage: String?
    /// `--build-arg`.
    public var buildArguments: [String] = []
    /// `--build-context`: `NAME=FOLDER` or `NAME=oci-layout://FOLDER[:TAG]`.
    public var buildContexts: [String] = []
    /// An image that is deployed as it is.
    public var image: String?
    /// `--registry`: where what is built goes.
    public var registry: String?
    /// `--repository`: what it is called there.
    public var repository: String?
    /// `--port`.
    public var ports: [String] = []
    /// `--env`.
    public var environment: [String] = []
    /// `--env-file`.
    public var environmentFiles: [String] = []
    /// `--secure-env`.
    public var secureEnvironment: [String] = []
    /// `--env-rm`.
    public var removedVariables: [String] = []
    /// `--command`: one text, taken apart as a shell does.
    public var command: String?
    /// `--cpu`.
    public var cpu: String?
    /// `--memory`.
    public var memory: String?
    /// `--cpu-limit`.
    public var cpuLimit: String?
    /// `--memory-limit`.
    public var memoryLimit: String?
    /// `--restart-policy`.
    public var restartPolicy: String?
    /// `--dns-label`.
    public var dnsLabel: String?
    /// `--dns-scope`.
    public var dnsScope: String?
    /// `--ip`.
    public var reach: String?
    /// `--identity`.
    public var identities: [String] = []
    /// `--pull-with`.
    public var pull: String?
    /// `--volume`.
    public var volumes: [String] = []
    /// `--liveness`.
    public var liveness: String?
    /// `--readiness`.
    public var readiness: String?
    /// `--subnet`.
    public var subnet: String?
    /// `--zone`.
    public var zones: [String] = []
    /// `--tag`.
    public var tags: [String] = []
    /// `--sku`.
    public var sku: String?
    /// `--priority`.
    public var priority: String?
    /// `--container`: further containers.
    public var containers: [String] = []
    /// `--container-rm`.
    public var removedContainers: [String] = []
    /// `--container-name`: which container of the group this is about.
    public var containerName: String?
    /// `--secret-source`.
    public var secretSources: [String] = []
    /// `--compose`: files that describe several services.
    public var composeFiles: [String] = []
    /// `--profile`: which of their services are wanted beside those of no profile.
    public var profiles: [String] = []

    /// `--platform`: what images have to run on.
    public var platform: String?
    /// `--cluster`: a cluster of Azure Kubernetes Service.
    public var cluster: String?
    /// `--admin`: `true` for the cluster's local administrator.
    public var adminAccess: String?
    /// `--kubeconfig`: a file.
    public var kubeconfig: String?
    /// `--kube-context`: a context of the kubeconfig.
    public var kubeContext: String?
    /// `--namespace`.
    public var namespace: String?
    /// `--create-namespace`: `true` where it is made.
    public var makesNamespace: String?
    /// `--replicas`.
    public var replicas: String?
    /// `--min-replicas`.
    public var minimumReplicas: String?
    /// `--max-replicas`.
    public var maximumReplicas: String?
    /// `--target-cpu`, in percent.
    public var targetCPU: String?
    /// `--target-memory`, in percent.
    public var targetMemory: String?
    /// `--strategy`: `rolling[,surge=…,unavailable=…]` or `recreate`.
    public var strategy: String?
    /// `--progress-deadline`, in seconds.
    public var progressDeadline: String?
    /// `--disruptions`: how many pods may be away, or `none`.
    public var disruptions: String?
    /// `--part-of`.
    public var partOf: String?
    /// `--label`.
    public var labels: [String] = []
    /// `--annotation`: `[deployment:|pod:|service:|ingress:]NAME=value`.
    public var annotations: [String] = []
    /// `--http-probe`: `/path:port`.
    public var httpProbe: String?
    /// `--startup`.
    public var startup: String?
    /// `--env-from`: `config/NAME` or `secret/NAME`, with `,prefix=…`.
    public var environmentSources: [String] = []
    /// `--run-as`: `USER[:GROUP]` as numbers.
    public var runAs: String?
    /// `--read-only-root`: `auto`, `yes` or `no`.
    public var readOnlyRoot: String?
    /// `--cap-add`.
    public var capabilities: [String] = []
    /// `--service-name`.
    public var serviceName: String?
    /// `--ingress`: `HOST[/PATH]`.
    public var ingress: [String] = []
    /// `--ingress-class`.
    public var ingressClass: String?
    /// `--ingress-tls`: a Secret.
    public var ingressCertificate: String?
    /// `--service-account`.
    public var serviceAccount: String?
    /// `--node`: a label of nodes, `NAME=value`.
    public var nodes: [String] = []
    /// `--toleration`.
    public var tolerations: [String] = []
    /// `--grace`, in seconds.
    public var grace: String?
    /// `--drain`, in seconds.
    public var drain: String?

    /// Nothing is said.
    public init() {}
}
