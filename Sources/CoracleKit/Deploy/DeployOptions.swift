// SPDX-License-Identifier: Apache-2.0

/// What is deployed and how, as flags and `coracle.yaml` say it: texts as people write them, read in one place.
///
/// What is `nil` or empty was not said. No secret is in it but those of ``secureEnvironment``, which are not written to
/// files.
public struct DeployOptions: Sendable {
    /// `--target`: `aci`.
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

    /// Nothing is said.
    public init() {}

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
    static let fields: [(name: String, field: Field)] = [
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
        // An image that is named now is not built, and the other way round.
        if image != nil {
            (result.context, result.file) = (context, file)
        } else if context != nil {
            result.image = nil
        }
        return result
    }
}
