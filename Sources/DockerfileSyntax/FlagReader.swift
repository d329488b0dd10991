// SPDX-License-Identifier: Apache-2.0

/// Reads the flags of one instruction against the list of those it knows.
struct FlagReader {
    /// How a flag is written.
    enum Shape {
        /// `--name`, `--name=true`, `--name=false`.
        case toggle
        /// `--name=value`, once.
        case value
        /// `--name=value`, any number of times.
        case values
    }

    private let known: [(name: String, shape: Shape)]
    private var found: [String: [Word]] = [:]
    private var toggles: [String: Bool] = [:]
    private(set) var diagnostics: [Diagnostic] = []

    init(_ flags: [Flag], of kind: Instruction.Kind) {
        known = FlagReader.known[kind] ?? []
        for flag in flags {
            read(flag, of: kind)
        }
    }

    /// The last value of a flag; `nil` where it was not given.
    func value(_ name: String) -> Word? { found[name]?.last }
    /// The last value of a flag that means the same empty as not given.
    func nonEmptyValue(_ name: String) -> Word? { value(name).flatMap { $0.text.isEmpty ? nil : $0 } }
    /// All values of a flag.
    func values(_ name: String) -> [Word] { found[name] ?? [] }
    /// A toggle; `nil` where it was not given.
    func toggle(_ name: String) -> Bool? { toggles[name] }

    private mutating func read(_ flag: Flag, of kind: Instruction.Kind) {
        if kind == .arg {
            // BuildKit never looks at them here, so files with such flags exist.
            let message = "ARG takes no flags, and \"\(flag.raw.text)\" is ignored"
            diagnostics.append(Diagnostic(.warning, message, at: flag.raw.range))
            return
        }
        guard let shape = known.first(where: { $0.name == flag.name })?.shape else {
            let names = known.map { "--\($0.name)" }
            let list = names.isEmpty ? "it takes none" : "it takes \(names.joined(separator: ", "))"
            let near = Suggestion.phrase(for: "--\(flag.name)", among: names)
            let notes = near.isEmpty ? [Diagnostic.Note(list)] : []
            diagnostics.append(
                .error("\(kind.rawValue) has no flag \"--\(flag.name)\"\(near)", at: flag.raw.range, notes: notes)
            )
            return
        }
        if shape != .values, found[flag.name] != nil || toggles[flag.name] != nil {
            diagnostics.append(.error("--\(flag.name) is given twice", at: flag.raw.range))
        }
        if shape == .toggle {
            readToggle(flag)
        } else if let value = flag.value {
            found[flag.name, default: []].append(value)
        } else {
            diagnostics.append(.error("--\(flag.name) needs a value: --\(flag.name)=…", at: flag.raw.range))
        }
    }

    private mutating func readToggle(_ flag: Flag) {
        switch flag.value?.text.lowercased() {
        case nil, "true": toggles[flag.name] = true
        case "false": toggles[flag.name] = false
        case .some(let text):
            let message = "--\(flag.name) is either true or false, not \"\(text)\""
            diagnostics.append(.error(message, at: flag.raw.range))
        }
    }

    /// The flags of each instruction; kinds that are not listed have none.
    private static let known: [Instruction.Kind: [(name: String, shape: Shape)]] = [
        .from: [("platform", .value)],
        .run: [("mount", .values), ("network", .value), ("security", .value), ("device", .values)],
        .copy: [
            ("from", .value), ("chown", .value), ("chmod", .value), ("link", .toggle), ("parents", .toggle),
            ("exclude", .values),
        ],
        .add: [
            ("chown", .value), ("chmod", .value), ("link", .toggle), ("checksum", .value), ("exclude", .values),
            ("keep-git-dir", .toggle), ("unpack", .toggle),
        ],
        .healthcheck: [
            ("interval", .value), ("timeout", .value), ("start-period", .value), ("start-interval", .value),
            ("retries", .value),
        ],
    ]
}
