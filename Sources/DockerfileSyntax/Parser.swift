// SPDX-License-Identifier: Apache-2.0

extension Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// Reading never stops at a fault: the tree holds everything that could be read, and the diagnostics are all
    /// faults of the language in the order of the file. Time and memory grow with the text only.
    ///
    /// - Parameter source: The text; any bytes at all.
    /// - Returns: The tree and its faults; without an error among them the file can be planned.
    public static func parse(_ source: SourceText) -> (dockerfile: Dockerfile, diagnostics: [Diagnostic]) {
        var parser = Parser(source)
        return parser.parse()
    }
}

/// Reads logical lines into instructions and instructions into stages.
private struct Parser {
    var lexer: Lexer
    var diagnostics: [Diagnostic] = []
    var globalArguments: [Instruction] = []
    var stages: [Stage] = []
    var from: Instruction?
    var body: [Instruction] = []

    init(_ source: SourceText) {
        lexer = Lexer(source)
    }

    mutating func parse() -> (dockerfile: Dockerfile, diagnostics: [Diagnostic]) {
        let source = lexer.source
        while let line = lexer.next() {
            if let range = line.emptyContinuation {
                diagnostics.append(
                    Diagnostic(.warning, "Empty continuation line", at: range, rule: .noEmptyContinuation)
                )
            }
            add(instruction(line))
        }
        closeStage()
        if stages.isEmpty, globalArguments.isEmpty, diagnostics.isEmpty, lexer.diagnostics.isEmpty {
            let end = SourceRange(0, 0)
            diagnostics.append(.error("no instructions in \(source.name); a Dockerfile starts with FROM", at: end))
        } else if stages.isEmpty, diagnostics.isEmpty, let last = globalArguments.last {
            diagnostics.append(.error("no FROM after ARG; there is nothing to build", at: last.keyword.range))
        }
        let dockerfile = Dockerfile(
            source: source,
            directives: lexer.directives,
            escape: lexer.escape,
            globalArguments: globalArguments,
            stages: stages
        )
        let all = lexer.diagnostics + diagnostics + UnreadableBytes.diagnostics(in: dockerfile)
        return (dockerfile, all.sorted { $0.range.start < $1.range.start })
    }

    // MARK: Stages

    private mutating func add(_ instruction: Instruction) {
        if instruction.kind == .from {
            closeStage()
            from = instruction
        } else if from != nil {
            body.append(instruction)
        } else if instruction.kind == .arg {
            globalArguments.append(instruction)
        } else if instruction.kind != nil {
            diagnostics.append(
                .error(
                    "\(instruction.keyword.text) before the first FROM; only ARG may stand there",
                    at: instruction.keyword.range
                )
            )
        }
    }

    private mutating func closeStage() {
        guard let from else { return }
        var name: String?
        if case .from(let content) = from.content { name = content.name?.text.lowercased() }
        stages.append(Stage(index: stages.count, name: name, from: from, instructions: body))
        (self.from, body) = (nil, [])
    }

    // MARK: Instructions

    private mutating func instruction(_ line: LogicalLine) -> Instruction {
        let statement = Statement(line, in: 0..<line.bytes.count, escape: lexer.escape)
        let kind = kind(of: statement)
        var end = line.end
        var heredocs: [Heredoc] = []
        var trigger: Statement?
        if kind == .onbuild {
            trigger = Statement(line, in: statement.arguments, escape: lexer.escape)
        }
        let reading = trigger ?? statement
        if takesHeredocs(reading) {
            heredocs = readHeredocs(line, &end)
        }
        let content =
            trigger.map { readTrigger($0, of: statement, heredocs, end) }
            ?? kind.map { read(statement, $0, heredocs) } ?? .invalid
        return make(statement, kind, content, heredocs, end)
    }

    private func make(
        _ statement: Statement,
        _ kind: Instruction.Kind?,
        _ content: Instruction.Content,
        _ heredocs: [Heredoc],
        _ end: Int
    ) -> Instruction {
        let line = statement.line
        let keyword = line.word(statement.keyword)
        return Instruction(
            keyword: keyword,
            kind: kind,
            flags: statement.flags,
            arguments: line.word(statement.arguments),
            heredocs: heredocs,
            content: content,
            text: line.text(statement.keyword.lowerBound..<line.bytes.count),
            range: SourceRange(keyword.range.start, end),
            comments: line.comments
        )
    }

    private mutating func kind(of statement: Statement) -> Instruction.Kind? {
        let word = statement.line.text(statement.keyword)
        if let kind = Instruction.Kind(keyword: word) { return kind }
        let near = Suggestion.phrase(for: word.uppercased(), among: Instruction.Kind.allCases.map(\.rawValue))
        diagnostics.append(
            .error("unknown instruction \"\(word.prefix(64))\"\(near)", at: statement.line.range(statement.keyword))
        )
        return nil
    }

    private mutating func read(
        _ statement: Statement,
        _ kind: Instruction.Kind,
        _ heredocs: [Heredoc]
    ) -> Instruction.Content {
        var reader = ContentReader(statement, kind, heredocs: heredocs, escape: lexer.escape)
        let content = reader.read()
        diagnostics += reader.diagnostics
        return content
    }

    private mutating func readTrigger(
        _ trigger: Statement,
        of statement: Statement,
        _ heredocs: [Heredoc],
        _ end: Int
    ) -> Instruction.Content {
        let line = statement.line
        if let flag = statement.flags.first {
            diagnostics.append(.error("ONBUILD has no flag \"--\(flag.name)\"", at: flag.raw.range))
        }
        guard !trigger.keyword.isEmpty else {
            diagnostics.append(.error("ONBUILD needs an instruction", at: line.range(statement.keyword)))
            return .invalid
        }
        let (kind, content) = readStored(trigger, heredocs)
        if kind == .onbuild || kind == .from || kind == .maintainer {
            let name = line.text(trigger.keyword).uppercased()
            diagnostics.append(.error("\(name) cannot be triggered by ONBUILD", at: line.range(trigger.keyword)))
            return .invalid
        }
        var text = line.text(statement.arguments)
        for heredoc in heredocs {
            text += "\n" + heredoc.content + heredoc.name
        }
        return .onbuild(trigger: make(trigger, kind, content, heredocs, end), text: text)
    }

    /// Reads an instruction that is only stored: its faults are warnings here, and errors where it is run.
    private mutating func readStored(
        _ trigger: Statement,
        _ heredocs: [Heredoc]
    ) -> (Instruction.Kind?, Instruction.Content) {
        let before = diagnostics
        diagnostics = []
        let kind = kind(of: trigger)
        var (content, isUncut) = (Instruction.Content.invalid, false)
        if let kind, kind != .onbuild, kind != .from, kind != .maintainer {
            var reader = ContentReader(trigger, kind, heredocs: heredocs, escape: lexer.escape)
            content = reader.read()
            diagnostics += reader.diagnostics
            isUncut = reader.isUncut
        }
        let found = isUncut ? diagnostics : diagnostics.map { $0.asStored() }
        diagnostics = before + found
        return (kind, content)
    }

    // MARK: Heredocs

    private func takesHeredocs(_ statement: Statement) -> Bool {
        let line = statement.line
        guard line.hasHeredocMark, let kind = Instruction.Kind(keyword: line.text(statement.keyword)),
            kind.takesHeredocs
        else { return false }
        if case .strings = JSONArray.read(line, statement.arguments) { return false }
        return true
    }

    private mutating func readHeredocs(_ line: LogicalLine, _ end: inout Int) -> [Heredoc] {
        var heredocs: [Heredoc] = []
        for mark in HeredocMark.marks(in: line.text(0..<line.bytes.count)) {
            guard let found = lexer.heredoc(until: Array(mark.name.utf8), strippingTabs: mark.stripsTabs) else {
                let range = line.range(0..<line.bytes.count)
                diagnostics.append(
                    .error(
                        "heredoc \"\(mark.name.prefix(64))\" is not closed",
                        at: range,
                        notes: [.init("a line with nothing but \(mark.name.prefix(64)) on it ends the heredoc")]
                    )
                )
                break
            }
            let range = SourceRange(found.content.lowerBound, found.content.upperBound)
            heredocs.append(
                Heredoc(
                    name: mark.name,
                    descriptor: mark.descriptor,
                    expands: mark.expands,
                    stripsTabs: mark.stripsTabs,
                    content: lexer.source.text(of: range),
                    range: range
                )
            )
            end = found.end
        }
        return heredocs
    }
}

extension LogicalLine {
    /// Whether `<<` stands anywhere in the line.
    fileprivate var hasHeredocMark: Bool {
        let mark = UInt8(ascii: "<")
        var before: UInt8 = 0
        for byte in bytes {
            if byte == mark, before == mark { return true }
            before = byte
        }
        return false
    }
}

extension Diagnostic {
    /// A fault of an instruction that is stored and not run.
    fileprivate func asStored() -> Diagnostic {
        guard severity == .error else { return self }
        let note = Note("ONBUILD stores it as it is, and builds that have this image as their base will fail")
        return Diagnostic(.warning, message, at: range, notes: notes + [note])
    }
}
