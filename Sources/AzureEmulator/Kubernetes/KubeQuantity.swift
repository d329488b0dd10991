// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI

/// Amounts as Kubernetes writes them: `500m`, `1.5`, `128Mi`.
///
/// Specification: Kubernetes, `resource.Quantity`.
enum KubeQuantity {
    private static let suffixes: [(String, Double)] = [
        ("Ki", 1024), ("Mi", 1_048_576), ("Gi", 1_073_741_824), ("Ti", 1_099_511_627_776),
        ("Pi", 1_125_899_906_842_624), ("n", 1e-9), ("u", 1e-6), ("m", 1e-3), ("k", 1e3), ("M", 1e6), ("G", 1e9),
        ("T", 1e12), ("P", 1e15),
    ]

    /// The amount; `nil` where it is none.
    static func value(_ given: JSONValue?) -> Double? {
        guard let given else { return nil }
        if let number = given.number { return number }
        guard var text = given.string, !text.isEmpty else { return nil }
        var factor = 1.0
        if let found = suffixes.first(where: { text.hasSuffix($0.0) }) {
            factor = found.1
            text.removeLast(found.0.count)
        }
        let isPlain = text.allSatisfy { $0.isASCII && ($0.isNumber || "+-.eE".contains($0)) }
        guard isPlain, let number = Double(text) else { return nil }
        return number * factor
    }
}
