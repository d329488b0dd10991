// SPDX-License-Identifier: Apache-2.0
public import OCI

/// What is known of an image in a registry before it is deployed, seen with the credentials that will pull it.
public struct ImageFacts: Sendable {
    /// The image, by its digest.
    public let reference: ImageReference
    /// What the digest names.
    public let mediaType: MediaType
    /// What the image runs on.
    public let platform: Platform
    /// What its layers are.
    public let layers: [MediaType]
    /// Its configuration.
    public let config: ImageConfig
    /// Its layers, the lowest first; empty where nobody looked.
    public var content: [Descriptor] = []

    /// Facts.
    ///
    /// - Parameters:
    ///   - reference: The image, by its digest.
    ///   - mediaType: What the digest names.
    ///   - layers: What its layers are.
    ///   - config: Its configuration.
    public init(_ reference: ImageReference, mediaType: MediaType, layers: [MediaType], config: ImageConfig) {
        (self.reference, self.mediaType, self.layers, self.config) = (reference, mediaType, layers, config)
        platform = config.platform
    }

    /// The image with the beginning of its digest.
    var shown: String {
        "\(reference.domain)/\(reference.repository)@" + (reference.digest ?? "").dropFirst(7).prefix(12)
    }

    /// What Container Instances would say to it.
    var findings: [DeployFinding] {
        let name = shown
        var found: [DeployFinding] = []
        let wanted = "Container Instances runs linux/amd64"
        if platform.os != "linux" || platform.architecture != "amd64" {
            let hint = "coracle build --platform linux/amd64 …"
            found.append(.init("platform", .bad, "\(name) is for \(platform); \(wanted)", hint: hint))
        } else {
            found.append(.init("platform", .good, "\(name) is for linux/amd64"))
        }
        if mediaType.isIndex {
            let message = "\(name) is an index of several images, which Container Instances may not read"
            found.append(.init("manifest", .bad, message, hint: "deploy the digest of its linux/amd64 manifest"))
        }
        let foreign = layers.filter { ![.layerGzip, .dockerLayer].contains($0) && !ImageFacts.isPlain($0) }
        if let layer = foreign.first {
            let message = "\(name) has layers of the type \(layer), which Container Instances does not unpack"
            found.append(.init("layers", .bad, message, hint: "coracle build --compression gzip …"))
        }
        return found
    }

    private static func isPlain(_ type: MediaType) -> Bool {
        ["application/vnd.oci.image.layer.v1.tar", "application/vnd.docker.image.rootfs.diff.tar"]
            .contains(type.description)
    }

    /// What a container of it has where nobody says anything else: ports from EXPOSE, the words of HEALTHCHECK's command.
    public var defaults: (ports: [String], probe: [String]?) {
        let ports = config.exposedPorts.sorted {
            (Int($0.prefix { $0.isNumber }) ?? 0) < (Int($1.prefix { $0.isNumber }) ?? 0)
        }
        guard let check = config.healthcheck, let kind = check.test.first, check.test.count > 1 else {
            return (ports, nil)
        }
        switch kind {
        case "CMD": return (ports, Array(check.test.dropFirst()))
        case "CMD-SHELL":
            return (
                ports, (config.shell.isEmpty ? ["/bin/sh", "-c"] : config.shell) + check.test.dropFirst().prefix(1)
            )
        default: return (ports, nil)
        }
    }
}
