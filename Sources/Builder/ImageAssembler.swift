// SPDX-License-Identifier: Apache-2.0
public import OCI
internal import Store

/// An image that a build made.
public struct BuiltImage: Sendable {
    /// The manifest, in the store.
    public let manifest: Descriptor
    /// The configuration, in the store.
    public let config: Descriptor
    /// The configuration itself.
    public let image: ImageConfig
}

/// Writes configuration and manifest of an image.
struct ImageAssembler {
    let store: ImageStore
    let settings: BuildSettings

    /// Writes an image.
    func assemble(_ planned: ImageConfig, _ layers: [Layer]) throws -> BuiltImage {
        var image = planned
        image.diffIDs = layers.map(\.diffID)
        image.created = ImageAssembler.time(settings.epoch ?? 0)
        complete(&image)
        let config = try store.put(image.document, .config)
        var manifest = Manifest(config: config, layers: layers.map(\.descriptor))
        // What an index says of a layer elsewhere is no matter of this image.
        for index in manifest.layers.indices { manifest.layers[index].annotations = [:] }
        var descriptor = try store.put(manifest.document, .manifest)
        descriptor.platform = image.platform
        return BuiltImage(manifest: descriptor, config: config, image: image)
    }

    /// Bases that other tools made may tell of fewer layers than they have.
    private func complete(_ image: inout ImageConfig) {
        let told = image.history.count { !$0.isEmptyLayer }
        guard told < image.diffIDs.count else { return }
        let missing = ImageConfig.History(createdBy: "", comment: "", isEmptyLayer: false)
        image.history.insert(contentsOf: repeatElement(missing, count: image.diffIDs.count - told), at: 0)
    }

    /// Seconds since 1970 as RFC 3339 has them.
    ///
    /// Days are turned into dates as Howard Hinnant's `civil_from_days` does it.
    static func time(_ seconds: Int64) -> String {
        let days = Int((Double(seconds) / 86400).rounded(.down))
        let rest = Int(seconds) - days * 86400
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let day = shifted - era * 146_097
        let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365
        let ofYear = day - (365 * year + year / 4 - year / 100)
        let month = (5 * ofYear + 2) / 153
        let (date, number) = (ofYear - (153 * month + 2) / 5 + 1, month < 10 ? month + 3 : month - 9)
        let two = { (value: Int) in (value < 10 ? "0" : "") + String(value) }
        let full = year + era * 400 + (number <= 2 ? 1 : 0)
        return "\(full)-\(two(number))-\(two(date))T\(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))Z"
    }
}
