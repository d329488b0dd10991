// SPDX-License-Identifier: Apache-2.0

/// Turns a statement into an instruction's content, or into diagnostics.
struct ContentReader {
    let statement: Statement
    let kind: Instruction.Kind
    let heredocs: [Heredoc]
    let escape: UInt8
    private(set) var diagnostics: [Diagnostic] = []
    /// Whether the line cannot even be cut into words, which is a fault of a trigger that nobody runs, too.
    private(set) var isUncut = false
    private var flags: FlagReader

    init(_ statement: Statement, _ kind: Instruction.Kind, heredocs: [Heredoc], escape: UInt8) {
        (self.statement, self.kind, self.heredocs, self.escape) = (statement, kind, heredocs, escape)
        flags = FlagReader(statement.flags, of: kind)
    }

    private var line: LogicalLine { statement.line }
    private var arguments: Range<Int> { statement.arguments }
    private var keyword: SourceRange { line.range(statement.keyword) }

    /// Reads the content; ``Instruction/Content/invalid`` where there is a fault.
    mutating func read() -> Instruction.Content {
        let content = readKind()
        // HEALTHCHECK NONE never looks at its flags, and neither does BuildKit.
        if case .healthcheck(let check) = content, check.command == nil { return content }
        diagnostics += flags.diagnostics
        return diagnostics.contains { $0.severity == .error } ? .invalid : content
    }

    private mutating func readKind() -> Instruction.Content {
        switch kind {
        case .from: readFrom()
        case .run: readRun()
        case .cmd: readCommand(arguments).map { .cmd($0) } ?? .invalid
        case .entrypoint: readCommand(arguments).map { .entrypoint($0) } ?? .invalid
        case .shell: readShell()
        case .copy, .add: readTransfer()
        case .env: readPairs().map { .env($0) } ?? .invalid
        case .label: readPairs().map { .label($0) } ?? .invalid
        case .arg: readArg()
        case .expose: readList(ArgumentWords.blankSeparated(line, arguments)).map { .expose($0) } ?? .invalid
        case .user: readOne().map { .user($0) } ?? .invalid
        case .workdir: readOne().map { .workdir($0) } ?? .invalid
        case .stopsignal: readOne().map { .stopsignal($0) } ?? .invalid
        case .maintainer: readOne().map { .maintainer($0) } ?? .invalid
        case .volume: readVolume()
        case .healthcheck: readHealthcheck()
        case .onbuild: .invalid
        }
    }

    private mutating func fail(_ message: String, at range: SourceRange? = nil, notes: [Diagnostic.Note] = []) {
        let place = range ?? (arguments.isEmpty ? keyword : line.range(arguments))
        diagnostics.append(.error(message, at: place, notes: notes))
    }

    // MARK: The simple ones

    private mutating func readOne() -> Word? {
        guard !arguments.isEmpty else {
            fail("\(kind.rawValue) needs an argument")
            return nil
        }
        return line.word(arguments)
    }

    private mutating func readList(_ words: [Word]) -> [Word]? {
        guard !words.isEmpty else {
            fail("\(kind.rawValue) needs at least one argument")
            return nil
        }
        return words
    }

    private mutating func readFrom() -> Instruction.Content {
        let words = ArgumentWords.blankSeparated(line, arguments)
        let platform = flags.nonEmptyValue("platform")
        if words.count == 1 {
            return .from(FromContent(image: words[0], asKeyword: nil, name: nil, platform: platform))
        }
        guard words.count == 3, words[1].text.lowercased() == "as" else {
            let extra = words.count > 1 ? words[1].range.joined(with: words[words.count - 1].range) : nil
            fail("FROM takes an image, or an image, AS and a name", at: extra)
            return .invalid
        }
        guard ContentReader.isStageName(words[2].text.lowercased()) else {
            fail(
                "stage name \"\(words[2].text)\" does not start with a letter, or has a character other than "
                    + "letters, digits, \"-\", \"_\" and \".\"",
                at: words[2].range
            )
            return .invalid
        }
        return .from(FromContent(image: words[0], asKeyword: words[1], name: words[2], platform: platform))
    }

    /// Whether a name starts with a letter and holds letters, digits, `-`, `_` and `.` only.
    static func isStageName(_ name: String) -> Bool {
        guard let first = name.utf8.first, (0x61...0x7A).contains(first) else { return false }
        return name.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || "-_.".utf8.contains($0)
        }
    }

    private mutating func readShell() -> Instruction.Content {
        guard case .exec(let words) = readCommand(arguments) else {
            if diagnostics.isEmpty {
                fail("SHELL needs a JSON array: SHELL [\"/bin/bash\", \"-c\"]")
            }
            return .invalid
        }
        guard !words.isEmpty else {
            fail("SHELL needs at least one word in its JSON array")
            return .invalid
        }
        return .shell(words)
    }

    /// A command in either form; `nil` after a fault.
    private mutating func readCommand(_ range: Range<Int>) -> CommandForm? {
        switch JSONArray.read(line, range) {
        case .strings(let words): return .exec(words)
        case .notJSON: return .shell(line.word(range))
        case .otherElements(let place):
            isUncut = true
            fail(
                "an exec-form array holds strings only, not \(line.text(place))",
                at: line.range(place),
                notes: [.init("put it in double quotes")]
            )
            return nil
        }
    }

    /// A JSON array of strings, or words cut at blanks; `nil` after a fault.
    private mutating func readWords() -> [Word]? {
        switch readCommand(arguments) {
        case .exec(let words): words
        case .shell: ArgumentWords.blankSeparated(line, arguments)
        case nil: nil
        }
    }

    private mutating func readVolume() -> Instruction.Content {
        guard let words = readWords(), let volumes = readList(words) else { return .invalid }
        let trimmed = volumes.map { word in
            let bytes = Array(word.text.utf8)
            let range = WhiteSpace.trimmed(0..<bytes.count, in: bytes)
            return Word(String(decoding: bytes[range], as: UTF8.self), at: word.range)
        }
        if let empty = trimmed.first(where: \.text.isEmpty) {
            fail("a volume's path is empty", at: empty.range)
        }
        return .volume(trimmed)
    }

    // MARK: Pairs

    private mutating func readPairs() -> [KeyValue]? {
        let words = ArgumentWords.quoted(line, arguments, escape: escape)
        guard let first = words.first else {
            fail("\(kind.rawValue) needs at least one argument: \(kind.rawValue) KEY=value")
            return nil
        }
        guard first.text.utf8.contains(UInt8(ascii: "=")) else {
            guard let pair = ArgumentWords.legacyPair(line, arguments) else {
                isUncut = true
                fail("\(kind.rawValue) \(first.text) has no value: \(kind.rawValue) KEY=value")
                return nil
            }
            return [KeyValue(key: pair.key, value: pair.value, isLegacy: true)]
        }
        return words.compactMap { pair($0) }
    }

    private mutating func pair(_ word: Word) -> KeyValue? {
        guard let (key, value) = split(word) else {
            isUncut = true
            fail(
                "\"\(word.text)\" has no \"=\"; pairs are written KEY=value, with quotes around spaces",
                at: word.range
            )
            return nil
        }
        if key.text.isEmpty {
            fail("\"\(word.text)\" has nothing before \"=\"", at: word.range)
            return nil
        }
        return KeyValue(key: key, value: value, isLegacy: false)
    }

    /// The parts before and after the first `=`; `nil` without one.
    private func split(_ word: Word) -> (Word, Word)? {
        let bytes = word.text.utf8
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let key = String(word.text[..<equals])
        let value = String(word.text[bytes.index(after: equals)...])
        // Continuations between the bytes make the word longer in the source than in the text.
        let keyEnd = min(word.range.start + key.utf8.count, word.range.end)
        return (
            Word(key, at: SourceRange(word.range.start, keyEnd)),
            Word(value, at: SourceRange(min(keyEnd + 1, word.range.end), word.range.end))
        )
    }

    private mutating func readArg() -> Instruction.Content {
        let words = ArgumentWords.quoted(line, arguments, escape: escape)
        guard let words = readList(words) else { return .invalid }
        var declarations: [ArgumentDeclaration] = []
        for word in words {
            guard let (name, value) = split(word) else {
                declarations.append(ArgumentDeclaration(name: word, value: nil))
                continue
            }
            if name.text.isEmpty { fail("\"\(word.text)\" has no name before \"=\"", at: word.range) }
            declarations.append(ArgumentDeclaration(name: name, value: value))
        }
        return .arg(declarations)
    }
}

extension ContentReader {
    // MARK: RUN

    private mutating func readRun() -> Instruction.Content {
        guard let command = readCommand(arguments) else { return .invalid }
        let network = choice("network", of: ["default", "none", "host"], else: "default")
        let security = choice("security", of: ["sandbox", "insecure"], else: "sandbox")
        let mounts = flags.values("mount")
        // Their other faults depend on variables, and are faults of the file only where the stage is built.
        diagnostics += mounts.compactMap { Mount.fault(in: $0) }
        let devices = flags.values("device")
            .compactMap { value -> RunContent.Device? in
                let (device, fault) = RunContent.Device.read(value)
                if let fault { diagnostics.append(fault) }
                return device
            }
        return .run(
            RunContent(command: command, mounts: mounts, network: network, security: security, devices: devices)
        )
    }

    private mutating func choice(_ name: String, of choices: [String], else fallback: String) -> String {
        guard let value = flags.value(name) else { return fallback }
        if !choices.contains(value.text) {
            let near = Suggestion.phrase(for: value.text, among: choices)
            let list = choices.joined(separator: ", ")
            fail("--\(name) is one of \(list), not \"\(value.text)\"\(near)", at: value.range)
        }
        return value.text
    }

    // MARK: COPY and ADD

    private mutating func readTransfer() -> Instruction.Content {
        guard let words = readWords() else { return .invalid }
        guard let destination = words.last, words.count > 1 else {
            fail("\(kind.rawValue) needs at least a source and a destination")
            return .invalid
        }
        if HeredocMark(destination.text) != nil {
            fail("a heredoc cannot be the destination of \(kind.rawValue)", at: destination.range)
        }
        let sources = words.dropLast()
            .map { word -> TransferContent.Source in
                guard let mark = HeredocMark(word.text),
                    let index = heredocs.lastIndex(where: { $0.name == mark.name })
                else { return .path(word) }
                return .heredoc(index, word)
            }
        return (kind == .copy ? Instruction.Content.copy : Instruction.Content.add)(
            TransferContent(
                sources: Array(sources),
                destination: destination,
                from: flags.nonEmptyValue("from"),
                chown: flags.value("chown"),
                chmod: flags.value("chmod"),
                isLink: flags.toggle("link") ?? false,
                keepsParents: flags.toggle("parents") ?? false,
                excludes: flags.values("exclude"),
                checksum: flags.value("checksum"),
                keepsGitDirectory: flags.toggle("keep-git-dir"),
                unpacks: flags.toggle("unpack")
            )
        )
    }

    // MARK: HEALTHCHECK

    private mutating func readHealthcheck() -> Instruction.Content {
        let space = line.bytes[arguments].firstIndex { WhiteSpace.isBlank($0) } ?? arguments.upperBound
        let type = arguments.lowerBound..<space
        let rest = WhiteSpace.skipping(space..<arguments.upperBound, in: line.bytes)..<arguments.upperBound
        switch line.text(type).uppercased() {
        case "NONE":
            if !rest.isEmpty { fail("HEALTHCHECK NONE takes no arguments", at: line.range(rest)) }
            return .healthcheck(HealthcheckContent(command: nil))
        case "CMD":
            guard let command = readCommand(rest) else { return .invalid }
            if command.isEmpty { fail("HEALTHCHECK CMD needs a command") }
            return .healthcheck(healthcheck(command))
        case "":
            fail("HEALTHCHECK needs CMD and a command, or NONE")
        case let other:
            let near = Suggestion.phrase(for: other, among: ["CMD", "NONE"])
            fail("HEALTHCHECK has no type \"\(line.text(type))\", only CMD and NONE\(near)", at: line.range(type))
        }
        return .invalid
    }

    private mutating func healthcheck(_ command: CommandForm) -> HealthcheckContent {
        HealthcheckContent(
            command: command,
            interval: duration("interval"),
            timeout: duration("timeout"),
            startPeriod: duration("start-period"),
            startInterval: duration("start-interval"),
            retries: retries()
        )
    }

    private mutating func duration(_ name: String) -> Int64 {
        guard let value = flags.value(name), !value.text.isEmpty else { return 0 }
        guard let nanoseconds = GoDuration.nanoseconds(value.text) else {
            fail("--\(name) \"\(value.text)\" is not a duration, for example 30s or 1m30s", at: value.range)
            return 0
        }
        if nanoseconds != 0, nanoseconds < 1_000_000 {
            fail("--\(name) \"\(value.text)\" is less than 1ms", at: value.range)
        }
        return nanoseconds
    }

    private mutating func retries() -> Int {
        guard let value = flags.value("retries"), !value.text.isEmpty else { return 0 }
        guard let count = Int32(value.text), count >= 0 else {
            fail("--retries \"\(value.text)\" is not a number from 0 to 2147483647", at: value.range)
            return 0
        }
        return Int(count)
    }
}

extension CommandForm {
    /// Whether there is nothing to run.
    public var isEmpty: Bool {
        switch self {
        case .shell(let word): word.text.isEmpty
        case .exec(let words): words.isEmpty
        }
    }
}

extension HealthcheckContent {
    /// A check without times, as NONE has it.
    init(command: CommandForm?) {
        self.init(command: command, interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0)
    }
}
