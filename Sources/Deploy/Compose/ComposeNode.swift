// SPDX-License-Identifier: Apache-2.0

/// A value of a compose file that knows where it is written.
struct ComposeNode: Sendable {
    /// What it is.
    indirect enum Content: Sendable {
        case null
        /// A scalar; its text as written, but for numbers, which are as every reader of YAML gives them back.
        case scalar(String, Kind)
        case list([ComposeNode])
        case map([Entry])
    }

    /// What YAML takes a scalar for.
    enum Kind: Hashable, Sendable {
        case text, number, bool
    }

    /// A key and its value.
    struct Entry: Sendable {
        let key: String
        let place: ComposePlace
        var value: ComposeNode
    }

    /// What a tag asks for when files are merged.
    enum Change: Hashable, Sendable {
        case none, reset, override
    }

    var content: Content
    let place: ComposePlace
    var change = Change.none
    /// Where it is in the tree, as messages name it: `services.web.ports[0]`.
    var path = ""

    init(_ content: Content, _ place: ComposePlace) { (self.content, self.place) = (content, place) }

    var isNull: Bool { if case .null = content { true } else { false } }

    /// The text of a scalar of any kind.
    var text: String? { if case .scalar(let text, _) = content { text } else { nil } }

    var list: [ComposeNode]? { if case .list(let list) = content { list } else { nil } }

    var map: [Entry]? { if case .map(let map) = content { map } else { nil } }

    subscript(_ key: String) -> ComposeNode? { entry(key)?.value }

    func entry(_ key: String) -> Entry? { map?.first { $0.key == key } }

    /// One text or several.
    var texts: [ComposeNode] { list ?? (text == nil ? [] : [self]) }

    /// Whether it says what would be without it: null, nothing, `false`, empty.
    var saysNothing: Bool {
        switch content {
        case .null: true
        case .scalar(let text, let kind): text.isEmpty || (kind == .bool && ComposeNode.bool(text) == false)
        case .list(let list): list.isEmpty
        case .map(let map): map.isEmpty
        }
    }

    /// A flag, which interpolation may have made a text.
    var flag: Bool? { text.flatMap { ComposeNode.bool($0) } }

    static func bool(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "y", "on", "1": true
        case "false", "no", "n", "off", "0": false
        default: nil
        }
    }

    /// `NAME: value` or `- NAME=value`, in order; `nil` for a name alone.
    var pairs: [(name: String, value: ComposeNode?, place: ComposePlace)] {
        if let map { return map.map { ($0.key, $0.value.isNull ? nil : $0.value, $0.place) } }
        return (list ?? [])
            .compactMap { node in
                guard let text = node.text else { return nil }
                guard let equals = text.firstIndex(of: "=") else { return (text, nil, node.place) }
                var value = ComposeNode(.scalar(String(text[text.index(after: equals)...]), .text), node.place)
                value.path = node.path
                return (String(text[..<equals]), value, node.place)
            }
    }

    /// The tree with every value told where it is.
    func placed(_ path: String = "") -> ComposeNode {
        var copy = self
        copy.path = path
        switch content {
        case .list(let list):
            copy.content = .list(list.enumerated().map { $0.element.placed("\(path)[\($0.offset)]") })
        case .map(let map):
            copy.content = .map(
                map.map { entry in
                    var entry = entry
                    entry.value = entry.value.placed(path.isEmpty ? entry.key : "\(path).\(entry.key)")
                    return entry
                }
            )
        default: break
        }
        return copy
    }
}
