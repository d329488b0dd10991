// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// The values of `--annotation`, by what they are written into.
struct ImageAnnotations {
    /// Where one is written.
    private enum Place {
        /// Of one platform, or of all.
        case manifest(Platform?)
        /// The entry of a manifest in the list above it, likewise.
        case descriptor(Platform?)
        case index
    }

    private var entries: [(place: Place, name: String, value: String)] = []

    static let forms =
        "expected [manifest|manifest[PLATFORM]|manifest-descriptor|manifest-descriptor[PLATFORM]|index:]NAME=value"

    /// Reads the values; several places have commas between.
    init(_ texts: [String]) throws(ExitReason) {
        for text in texts {
            guard let equals = text.firstIndex(of: "=") else {
                throw ExitReason(.usage, "--annotation \"\(text)\" is not NAME=value; \(ImageAnnotations.forms)")
            }
            let value = String(text[text.index(after: equals)...])
            let name = text[..<equals]
            guard let colon = name.firstIndex(of: ":") else {
                entries.append((.manifest(nil), String(name), value))
                continue
            }
            for place in name[..<colon].split(separator: ",", omittingEmptySubsequences: false) {
                let place = try ImageAnnotations.place(place, of: text)
                entries.append((place, String(name[name.index(after: colon)...]), value))
            }
        }
    }

    private static func place(_ text: Substring, of annotation: String) throws(ExitReason) -> Place {
        var (kind, platform): (Substring, Platform?) = (text, nil)
        if let bracket = text.firstIndex(of: "["), text.hasSuffix("]") {
            kind = text[..<bracket]
            do {
                platform = try Platform(String(text[text.index(after: bracket)...].dropLast()))
            } catch {
                throw ExitReason(.usage, "--annotation \"\(annotation)\": \(error.message)")
            }
        }
        switch (kind, platform) {
        case ("manifest", _): return .manifest(platform)
        case ("manifest-descriptor", _): return .descriptor(platform)
        case ("index", nil): return .index
        default: throw ExitReason(.usage, "--annotation \"\(annotation)\": \"\(text)\" is not known; \(forms)")
        }
    }

    /// Refuses what has no place in an image for these platforms; one platform, or the host alone, has no index.
    func check(platforms: [Platform?]) throws(ExitReason) {
        if platforms.count < 2, let entry = entries.first(where: { if case .index = $0.place { true } else { false } })
        {
            throw ExitReason(
                .usage,
                "--annotation index:\(entry.name): an image for one platform has no index",
                hint: "leave \"index:\" out, or give --platform several"
            )
        }
        // What is built for by default is known only afterwards.
        let known = platforms.compactMap(\.self)
        guard known.count == platforms.count else { return }
        for entry in entries {
            switch entry.place {
            case .manifest(let platform?), .descriptor(let platform?):
                guard !known.contains(platform) else { continue }
                throw ExitReason(.usage, "--annotation [\(platform)]: the image is not built for this platform")
            default: continue
            }
        }
    }

    /// For the manifest of a platform.
    func ofManifest(_ platform: Platform?) -> [String: String] {
        chosen { if case .manifest(let wanted) = $0 { wanted == nil || wanted == platform } else { false } }
    }

    /// For the entry of a platform's manifest in the list above it.
    func ofDescriptor(_ platform: Platform?) -> [String: String] {
        chosen { if case .descriptor(let wanted) = $0 { wanted == nil || wanted == platform } else { false } }
    }

    /// For the index.
    var ofIndex: [String: String] {
        chosen { if case .index = $0 { true } else { false } }
    }

    private func chosen(_ isWanted: (Place) -> Bool) -> [String: String] {
        Dictionary(entries.filter { isWanted($0.place) }.map { ($0.name, $0.value) }) { $1 }
    }
}
