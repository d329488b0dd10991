// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

/// A value of `--cache-from` or `--cache-to`: `type=registry,ref=REFERENCE[,mode=min|max]`, or the reference alone.
struct CacheOption: Hashable {
    /// The image that holds the cache.
    let reference: ImageReference
    /// Whether the layers of all steps are kept, or those of the image only.
    let keepsAll: Bool

    /// Reads a value.
    init(_ text: String, flag: String) throws(ExitReason) {
        guard text.contains("=") else {
            self.init(try Build.reference(text, flag), keepsAll: flag == "--cache")
            return
        }
        guard let fields = CSVFields.read(text) else {
            throw ExitReason(.usage, "\(flag) \"\(text)\" has a quote inside a field, or one that is not closed")
        }
        var values: [String: String] = [:]
        for field in fields {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw ExitReason(.usage, "\(flag) \"\(text)\": \"\(field)\" has no value") }
            values[parts[0].lowercased()] = parts[1]
        }
        guard values["type"] == "registry" else {
            throw ExitReason(
                .usage,
                "\(flag) \"\(text)\": caches are kept in registries only",
                hint: "\(flag) type=registry,ref=HOST/PATH:TAG"
            )
        }
        // These are BuildKit's, and say how it writes what we write in one way only.
        let known: Set<String> = [
            "type", "ref", "mode", "oci-mediatypes", "image-manifest", "compression", "compression-level",
            "force-compression", "ignore-error", "registry.insecure",
        ]
        if let other = values.keys.sorted().first(where: { !known.contains($0) }) {
            throw ExitReason(.usage, "\(flag) \"\(text)\": \"\(other)\" is not known")
        }
        guard let name = values["ref"], !name.isEmpty else {
            throw ExitReason(.usage, "\(flag) \"\(text)\" has no ref")
        }
        guard ["min", "max", nil].contains(values["mode"]) else {
            throw ExitReason(.usage, "\(flag) \"\(text)\": mode is min or max")
        }
        self.init(try Build.reference(name, flag), keepsAll: values["mode"] == "max")
    }

    private init(_ reference: ImageReference, keepsAll: Bool) {
        (self.reference, self.keepsAll) = (reference, keepsAll)
    }
}
