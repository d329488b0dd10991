// SPDX-License-Identifier: Apache-2.0
internal import OCI
internal import Store

/// `coracle images`: the images of the store.
public struct ListImages: Sendable {
    /// `--filter`: `NAME=value`; the names are those of `docker images`.
    public var filters: [String] = []
    private let workspace: Workspace

    /// Lists a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// How digests are shown to people.
    public enum Digests: Sendable {
        /// The first twelve digits.
        case short
        /// The whole digest.
        case whole
    }

    /// Lists the images.
    ///
    /// - Parameters:
    ///   - format: For whom.
    ///   - digests: How digests are shown to people.
    /// - Returns: A line for each image, sorted by name, or JSON.
    /// - Throws: ``ExitReason`` where the store cannot be read, or a filter is malformed.
    public func run(_ format: OutputFormat, digests: Digests = .short) throws(ExitReason) -> String {
        List(rows: try rows(), digests: digests).formatted(format)
    }

    /// Lists the digests alone, for other commands.
    ///
    /// - Parameter digests: How much of each is shown.
    /// - Returns: A line for each image, in the order of ``run(_:digests:)``; an image with two names has two.
    /// - Throws: ``ExitReason`` as ``run(_:digests:)``.
    public func digests(_ digests: Digests = .short) throws(ExitReason) -> String {
        try rows().map { (digests == .whole ? $0.image.digest.description : $0.image.digest.short) + "\n" }.joined()
    }

    /// What is to be said where there is no store, which lists as an empty one does.
    ///
    /// - Returns: One line without full stop; `nil` where there is a store.
    /// - Throws: ``ExitReason`` where the store cannot be used.
    public func remark() throws(ExitReason) -> String? {
        try workspace.storeIfAny() == nil ? "there is no store at \(workspace.path)" : nil
    }

    private func rows() throws(ExitReason) -> [Row] {
        guard let store = try workspace.storeIfAny() else { return [] }
        let images = try ImageLocator(store.layout)
        let filter = try ImageFilter(filters, among: images)
        return images.images
            .map { image in
                let content = ImageContent(image, in: store.layout)
                return Row(name: ImageLocator.name(of: image), image: image, content: content)
            }
            .filter { filter.admits($0.name, $0.content) }
            .sorted { ($0.name ?? "~", $0.image.digest.hex) < ($1.name ?? "~", $1.image.digest.hex) }
    }

    private struct Row {
        let name: String?
        let image: Descriptor
        let content: ImageContent

        var platforms: [String] { content.parts.compactMap { $0.platform?.description } }
        var created: String? { content.parts.lazy.compactMap { $0.config?.created }.first }
        var size: Int64 { content.size(with: image) }
    }

    private struct List: Writable {
        let rows: [Row]
        let digests: Digests

        var text: String {
            let head = ["NAME", "DIGEST", "PLATFORM", "CREATED", "SIZE"]
            let lines = rows.map { row in
                [
                    row.name ?? "<none>", digests == .whole ? row.image.digest.description : row.image.digest.short,
                    row.platforms.isEmpty ? "-" : row.platforms.joined(separator: ","), row.created ?? "-",
                    DataSize(row.size).description,
                ]
            }
            return TextTable.write([head] + lines)
        }

        var json: JSONValue {
            let images = rows.map { row in
                var members: [String: JSONValue] = [
                    "digest": .string(row.image.digest.description),
                    "mediaType": .string(row.image.mediaType.description),
                    "platforms": JSONValue(row.platforms), "size": .int(row.size),
                ]
                members["name"] = row.name.map { .string($0) }
                members["created"] = row.created.map { .string($0) }
                return JSONValue.object(members)
            }
            return ["version": 1, "images": .array(images)]
        }
    }
}
