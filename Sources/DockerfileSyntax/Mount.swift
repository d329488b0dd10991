// SPDX-License-Identifier: Apache-2.0

/// A mount of `RUN --mount`, read from its comma-separated keys.
///
/// Specification: Dockerfile reference, "RUN --mount".
public struct Mount: Hashable, Sendable {
    /// What is mounted.
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        /// Files of the context, a stage or an image.
        case bind
        /// A directory kept between builds.
        case cache
        /// An empty directory in memory.
        case tmpfs
        /// A secret as a file or a variable.
        case secret
        /// An SSH agent's socket.
        case ssh
    }

    /// Who may use a cache directory at the same time.
    public enum Sharing: String, CaseIterable, Hashable, Sendable {
        /// Everyone.
        case shared
        /// Everyone gets a directory of their own.
        case `private`
        /// One after the other.
        case locked
    }

    /// What is mounted; bind where not given.
    public var kind = Kind.bind
    /// A stage, image or named context; empty for the build context.
    public var from = ""
    /// The path in `from`, or the secret's or agent's id; empty where not given.
    public var source = ""
    /// The path in the step; empty where not given.
    public var target = ""
    /// Whether the step cannot write to it.
    public var isReadOnly = false
    /// The most bytes a tmpfs may hold; 0 where not given.
    public var sizeLimit: Int64 = 0
    /// The id of a cache, secret or agent; empty where not given.
    public var id = ""
    /// Who may use a cache at the same time; `nil` where not given, which means shared.
    public var sharing: Sharing?
    /// Whether the step fails without the secret or agent.
    public var isRequired = false
    /// The variable that holds a secret; `nil` where not given.
    public var environmentName: String?
    /// The permissions of a cache, secret or socket; `nil` where not given.
    public var mode: UInt32?
    /// Its owner; `nil` where not given.
    public var uid: UInt32?
    /// Its group; `nil` where not given.
    public var gid: UInt32?

    /// Reads the value of a `--mount` flag.
    ///
    /// - Parameters:
    ///   - flag: The value, with its place.
    ///   - expand: Expands the variables of one value; `from` has none and is not passed.
    /// - Throws: ``SyntaxError`` for unknown keys, values of the wrong form, and keys that do not fit the type.
    public init(_ flag: Word, expanding expand: (String) throws(SyntaxError) -> String) throws(SyntaxError) {
        var isReadOnly: Bool?
        for field in try Mount.fields(of: flag) {
            let equals = field.utf8.firstIndex(of: UInt8(ascii: "="))
            let key = field[..<(equals ?? field.endIndex)].lowercased()
            var value = equals.map { String(field[field.utf8.index(after: $0)...]) }
            if key == "from", let text = value {
                try Mount.refuseVariables(in: text, at: flag.range)
            }
            if let text = value { value = try expand(text) }
            switch key {
            case "readonly", "ro": isReadOnly = try Mount.toggle(key, value, flag)
            case "readwrite", "rw": isReadOnly = try !Mount.toggle(key, value, flag)
            default: try read(key, value, field, flag)
            }
        }
        self.isReadOnly = isReadOnly ?? (kind != .cache && kind != .tmpfs)
        try check(flag)
    }

    /// The fault that is one whatever variables hold, and whether or not the stage is built.
    static func fault(in flag: Word) -> Diagnostic? {
        do throws(SyntaxError) {
            for field in try fields(of: flag) where field.lowercased().hasPrefix("from=") {
                try refuseVariables(in: String(field.dropFirst(5)), at: flag.range)
            }
            return nil
        } catch {
            return error.diagnostic
        }
    }

    private static func fields(of flag: Word) throws(SyntaxError) -> [String] {
        if let fields = CSVFields.read(flag.text) { return fields }
        throw SyntaxError(
            "--mount \"\(flag.text)\" has a quote that is not closed or stands inside a value",
            at: flag.range
        )
    }

    private static func refuseVariables(in text: String, at range: SourceRange) throws(SyntaxError) {
        guard let dollar = text.utf8.firstIndex(of: UInt8(ascii: "$")), text.utf8.index(after: dollar) != text.endIndex
        else { return }
        throw SyntaxError(
            "\"from=\(text)\" has a variable, and from is not expanded",
            at: range,
            notes: [.init("name a stage instead: FROM \(text) AS name, and from=name")]
        )
    }
}

extension Mount {
    /// Reads one key other than those about writing.
    private mutating func read(_ key: String, _ value: String?, _ field: String, _ flag: Word) throws(SyntaxError) {
        if key == "required" {
            guard kind == .secret || kind == .ssh else { throw unfit(key, flag) }
            isRequired = try Mount.toggle(key, value, flag)
            return
        }
        guard Mount.keys.contains(key) else {
            let near = Suggestion.phrase(for: key, among: Mount.keys)
            throw SyntaxError("--mount has no key \"\(key)\"\(near)", at: flag.range)
        }
        guard let value else { throw SyntaxError("\"\(field)\" in --mount needs a value: \(key)=…", at: flag.range) }
        switch key {
        case "type": kind = try Mount.choice(key, value, Kind(rawValue: value.lowercased()), flag)
        case "from": from = value
        case "source", "src": source = value
        case "target", "dst", "destination": target = value
        case "size":
            guard kind == .tmpfs else { throw unfit(key, flag) }
            sizeLimit = try Mount.size(value, flag)
        case "id": id = value
        case "sharing": sharing = try Mount.choice(key, value, Sharing(rawValue: value.lowercased()), flag)
        case "mode": mode = try Mount.number(key, value, radix: 8, flag)
        case "uid": uid = try Mount.number(key, value, radix: 10, flag)
        case "gid": gid = try Mount.number(key, value, radix: 10, flag)
        default: environmentName = value
        }
    }

    private static let keys = [
        "type", "from", "source", "target", "readonly", "id", "sharing", "required", "size", "mode", "uid", "gid",
        "src", "dst", "destination", "ro", "rw", "readwrite", "env",
    ]

    /// Checks that the keys fit each other once all are known.
    private func check(_ flag: Word) throws(SyntaxError) {
        if kind == .bind || kind == .tmpfs {
            if mode != nil { throw unfit("mode", flag) }
            if uid != nil { throw unfit("uid", flag) }
            if gid != nil { throw unfit("gid", flag) }
        }
        if kind == .secret {
            if !from.isEmpty { throw unfit("from", flag) }
            if source.isEmpty, target.isEmpty, id.isEmpty {
                throw SyntaxError("a secret mount needs an id or a target: --mount=type=secret,id=…", at: flag.range)
            }
            if !source.isEmpty, !id.isEmpty {
                throw SyntaxError("a secret mount takes id or source, not both", at: flag.range)
            }
        }
        if sharing != nil, kind != .cache { throw unfit("sharing", flag) }
    }

    private func unfit(_ key: String, _ flag: Word) -> SyntaxError {
        SyntaxError("a \(kind.rawValue) mount has no key \"\(key)\"", at: flag.range)
    }

    private static func toggle(_ key: String, _ value: String?, _ flag: Word) throws(SyntaxError) -> Bool {
        guard let value else { return true }
        guard let toggle = GoBool.read(value) else {
            throw SyntaxError("\"\(key)=\(value)\" in --mount is neither true nor false", at: flag.range)
        }
        return toggle
    }

    private static func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String,
        _ value: String,
        _ choice: Choice?,
        _ flag: Word
    ) throws(SyntaxError) -> Choice where Choice.RawValue == String {
        if let choice { return choice }
        let names = Choice.allCases.map(\.rawValue)
        let near = Suggestion.phrase(for: value, among: names)
        throw SyntaxError("\(key) is one of \(names.joined(separator: ", ")), not \"\(value)\"\(near)", at: flag.range)
    }

    private static func number(
        _ key: String,
        _ value: String,
        radix: Int,
        _ flag: Word
    ) throws(SyntaxError) -> UInt32 {
        guard value.first != "+", let number = UInt32(value, radix: radix) else {
            let form = radix == 8 ? "an octal number" : "a number"
            throw SyntaxError("\"\(key)=\(value)\" in --mount is not \(form)", at: flag.range)
        }
        return number
    }

    /// Bytes with an optional binary unit: `64m`, `1.5GiB`, `100`.
    private static func size(_ value: String, _ flag: Word) throws(SyntaxError) -> Int64 {
        let digits = value.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        var unit = value[digits.endIndex...].lowercased()[...]
        if unit.first == " " { unit.removeFirst() }
        for suffix in ["ib", "b"] where unit.hasSuffix(suffix) {
            unit.removeLast(suffix.count)
            break
        }
        let powers = ["": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5]
        guard let power = powers[String(unit)], let number = Double(digits), !digits.hasPrefix(".") else {
            throw SyntaxError("\"size=\(value)\" in --mount is not a size, for example 64m", at: flag.range)
        }
        let bytes = number * Double(Int64(1) << (10 * Int64(power)))
        guard bytes < 9e18 else { throw SyntaxError("\"size=\(value)\" in --mount is too large", at: flag.range) }
        return Int64(bytes)
    }
}

/// Truth values as Go's `strconv.ParseBool` reads them, which is what peers accept in flags.
public enum GoBool {
    /// Reads a truth value.
    ///
    /// - Parameter text: The text, exactly.
    /// - Returns: The value; `nil` where the text is none.
    public static func read(_ text: String) -> Bool? {
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": true
        case "0", "f", "F", "false", "FALSE", "False": false
        default: nil
        }
    }
}

extension RunContent.Device {
    /// Reads the value of a `--device` flag.
    static func read(_ flag: Word) -> (RunContent.Device?, Diagnostic?) {
        guard let fields = CSVFields.read(flag.text) else {
            return (nil, .error("--device \"\(flag.text)\" has a quote that is not closed", at: flag.range))
        }
        var name = ""
        var isRequired = false
        for field in fields {
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            switch (parts[0].lowercased(), parts.count) {
            case ("required", 1): isRequired = true
            case ("required", 2):
                guard let toggle = GoBool.read(parts[1]) else {
                    return (nil, .error("\"\(field)\" in --device is neither true nor false", at: flag.range))
                }
                isRequired = toggle
            case ("name", 2) where name.isEmpty: name = parts[1]
            case ("name", 2): return (nil, .error("--device names two devices", at: flag.range))
            case (_, _) where name.isEmpty: name = field
            default: return (nil, .error("--device has no key \"\(parts[0])\"", at: flag.range))
            }
        }
        return (RunContent.Device(name: name, isRequired: isRequired), nil)
    }
}
