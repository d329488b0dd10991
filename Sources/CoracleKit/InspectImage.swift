// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// `coracle inspect`: what an image is made of.
public struct InspectImage: Sendable {
    private let workspace: Workspace

    /// Looks into a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Describes an image.
    ///
    /// - Parameters:
    ///   - name: A name, `sha256:` and a digest, or `oci-layout://dir[:tag]`.
    ///   - format: For whom.
    /// - Returns: Lines or JSON.
    /// - Throws: ``ExitReason`` where there is no such image.
    public func run(_ name: String, _ format: OutputFormat) throws(ExitReason) -> String {
        let found = try ImageLocator.find(name, in: workspace)
        let parts = ImageContent(found.image, in: found.layout).parts
        return Description(name: found.name, image: found.image, parts: parts).formatted(format)
    }

    /// Describes an image of a registry, of which manifests and configurations are read only.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - access: Flags about registries.
    ///   - environment: The environment of the process.
    ///   - format: For whom.
    ///   - note: Is told what is tried again, and what is probably not what was meant: one line each.
    /// - Returns: Lines or JSON.
    /// - Throws: ``ExitReason`` where there is no such image, or the registry cannot be reached or refuses.
    public static func run(
        remote name: String,
        _ access: RegistryAccess,
        environment: [String: String],
        _ format: OutputFormat,
        note: @escaping @Sendable (String) -> Void
    ) async throws -> String {
        let reference = try ImageLocator.reference(name.suffix(after: "docker://") ?? name)
        var content = RegistryContent(environment: environment, note: note)
        content.access = access
        let (root, parts) = try await content.parts(of: reference)
        return Description(name: reference.familiar, image: root, parts: parts).formatted(format)
    }

    private struct Description: Writable {
        let name: String?
        let image: Descriptor
        let parts: [ImageContent.Part]

        var text: String {
            let head = [
                ["name", name ?? "<none>"], ["digest", image.digest.description],
                ["type", image.mediaType.description],
            ]
            return TextTable.write(head) + parts.map { text($0) }.joined()
        }

        private func text(_ part: ImageContent.Part) -> String {
            var rows = [["platform", part.platform?.description ?? "-"]]
            if part.descriptor.digest != image.digest {
                rows.append(["digest", part.descriptor.digest.description])
            }
            guard let manifest = part.manifest else {
                return "\n" + TextTable.write(rows + [["manifest", "missing or damaged"]])
            }
            rows.append(["config", "\(manifest.config.digest)  \(DataSize(manifest.config.size))"])
            if let config = part.config { rows += text(config) } else { rows.append(["", "missing, or no image's"]) }
            let total = DataSize(manifest.layers.reduce(0) { $0 + $1.size })
            rows.append(["layers", manifest.layers.isEmpty ? "none" : "\(manifest.layers.count), \(total)"])
            let layers = part.layers.map { layer in
                [layer.blob.digest.short, DataSize(layer.blob.size).description, shortened(layer.createdBy ?? "-")]
            }
            return "\n" + TextTable.write(rows) + TextTable.write(layers, indent: 2)
        }

        private func text(_ config: ImageConfig) -> [[String]] {
            var rows: [[String]] = []
            if let created = config.created { rows.append(["created", created]) }
            if let words = config.entrypoint { rows.append(["entrypoint", JSONValue(words).canonical]) }
            if let words = config.command { rows.append(["command", JSONValue(words).canonical]) }
            if !config.user.isEmpty { rows.append(["user", config.user]) }
            if !config.workingDirectory.isEmpty { rows.append(["workdir", config.workingDirectory]) }
            if !config.exposedPorts.isEmpty {
                rows.append(["ports", config.exposedPorts.sorted().joined(separator: " ")])
            }
            rows += config.environment.map { ["env", $0] }
            return rows + config.labels.sorted { $0.key < $1.key }.map { ["label", "\($0.key)=\($0.value)"] }
        }

        /// One line of at most 100 characters.
        private func shortened(_ text: String) -> String {
            let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
            return line.count > 100 ? line.prefix(99) + "…" : line
        }

        var json: JSONValue {
            var members: [String: JSONValue] = [
                "version": 1, "digest": .string(image.digest.description),
                "mediaType": .string(image.mediaType.description), "size": .int(image.size),
                "images": .array(parts.map { json($0) }),
            ]
            members["name"] = name.map { .string($0) }
            return .object(members)
        }

        private func json(_ part: ImageContent.Part) -> JSONValue {
            var members: [String: JSONValue] = [
                "digest": .string(part.descriptor.digest.description),
                "mediaType": .string(part.descriptor.mediaType.description), "size": .int(part.size),
                "layers": .array(part.layers.map { json($0) }),
            ]
            members["platform"] = part.platform.map { .string($0.description) }
            members["created"] = part.config?.created.map { .string($0) }
            members["config"] = part.manifest?.config.json
            members["image"] = part.config?.json
            return .object(members)
        }

        private func json(_ layer: ImageContent.Layer) -> JSONValue {
            var members: [String: JSONValue] = [
                "digest": .string(layer.blob.digest.description),
                "mediaType": .string(layer.blob.mediaType.description), "size": .int(layer.blob.size),
            ]
            members["diffID"] = layer.diffID.map { .string($0.description) }
            members["createdBy"] = layer.createdBy.map { .string($0) }
            return .object(members)
        }
    }
}
