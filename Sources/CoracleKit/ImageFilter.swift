// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import Kubernetes
internal import OCI

/// The values of `coracle images --filter`: an image is listed where it fits all names that are given, and for each name
/// one of its values; labels must all fit.
struct ImageFilter {
    private enum Test {
        case dangling(Bool)
        /// A label, with this value where one is given.
        case label(String, String?)
        /// What the image is called, with its tag or without.
        case reference([PathPattern])
        /// Made before this, in seconds since 1970.
        case before(Int64)
        case since(Int64)
    }

    private var tests: [Test] = []

    static let forms =
        "expected dangling=true|false, label=NAME[=value], reference=PATTERN, before=IMAGE or since=IMAGE"

    /// Reads the values; images that they name are looked for among those of the list.
    init(_ texts: [String], among images: ImageLocator) throws(ExitReason) {
        var patterns: [PathPattern] = []
        for text in texts {
            let (name, value) = PlanSettings.split(text)
            guard let value, !value.isEmpty else {
                throw ExitReason(.usage, "--filter \"\(text)\" is not NAME=value; \(ImageFilter.forms)")
            }
            switch name {
            case "dangling":
                guard let isSet = GoBool.read(value) else {
                    throw ExitReason(.usage, "--filter dangling=\(value) is neither true nor false")
                }
                tests.append(.dangling(isSet))
            case "label":
                let label = PlanSettings.split(value)
                tests.append(.label(label.0, label.1))
            case "reference":
                do {
                    patterns.append(try PathPattern(value))
                } catch {
                    throw ExitReason(.usage, "--filter reference=\(value): \(error.message)")
                }
            case "before": tests.append(.before(try ImageFilter.time(of: value, text, images)))
            case "since": tests.append(.since(try ImageFilter.time(of: value, text, images)))
            default:
                let near = Near.phrase(for: name, among: ["dangling", "label", "reference", "before", "since"])
                throw ExitReason(.usage, "--filter has no \"\(name)\"\(near)", hint: ImageFilter.forms)
            }
        }
        if !patterns.isEmpty { tests.append(.reference(patterns)) }
    }

    private static func time(
        of name: String,
        _ text: String,
        _ images: ImageLocator
    ) throws(ExitReason) -> Int64 {
        let found: ImageLocator.Found
        do {
            found = try images.find(name)
        } catch {
            throw ExitReason(error.code, "--filter \(text): \(error.message)", hint: error.hint)
        }
        guard let time = time(of: ImageContent(found.image, in: found.layout)) else {
            throw ExitReason(.usage, "--filter \(text): the image does not say when it was made")
        }
        return time
    }

    private static func time(of content: ImageContent) -> Int64? {
        content.parts.lazy.compactMap { $0.config?.created }.first.flatMap { Timestamp.seconds($0) }
    }

    /// Whether an image is listed.
    func admits(_ name: String?, _ content: ImageContent) -> Bool {
        tests.allSatisfy { test in
            switch test {
            case .dangling(let isWanted): return (name == nil) == isWanted
            case .label(let label, let value):
                return content.parts.contains { part in
                    guard let found = part.config?.labels[label] else { return false }
                    return value == nil || found == value
                }
            case .reference(let patterns):
                guard let name else { return false }
                return patterns.contains { ImageFilter.isCalled($0, name) }
            case .before(let time): return ImageFilter.time(of: content).map { $0 < time } ?? false
            case .since(let time): return ImageFilter.time(of: content).map { $0 > time } ?? false
            }
        }
    }

    private static func isCalled(_ pattern: PathPattern, _ name: String) -> Bool {
        var names = [name]
        if let colon = name.lastIndex(of: ":"), !name[colon...].contains("/") { names.append(String(name[..<colon])) }
        return names.contains { pattern.matches(Array($0.utf8)) }
    }
}
