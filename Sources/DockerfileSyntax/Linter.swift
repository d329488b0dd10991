// SPDX-License-Identifier: Apache-2.0

/// The lint rules that need nothing but the tree; those that need variables and bases run while planning.
public struct Linter {
    private var findings: [Diagnostic] = []
    /// Where everything is reported while triggers are looked at, whose text is not in the file.
    private var override: SourceRange?

    /// Runs every rule on a file.
    ///
    /// - Parameters:
    ///   - dockerfile: The file.
    ///   - built: The stages that are built; `nil` for all of them. Rules about what ends up in an image say nothing of
    ///     the others.
    /// - Returns: The findings in the order of the file, of all rules: filter them with
    ///   ``LintConfiguration/filter(_:in:)``.
    public static func findings(in dockerfile: Dockerfile, built: Set<Int>? = nil) -> [Diagnostic] {
        var linter = Linter()
        linter.checkStageNames(dockerfile.stages)
        linter.checkCasing(dockerfile.stages)
        for argument in dockerfile.globalArguments {
            linter.checkDescription(argument)
        }
        for stage in dockerfile.stages {
            linter.checkTexts(stage)
            if built?.contains(stage.index) ?? true { linter.check(stage.instructions) }
        }
        return linter.findings.sorted { $0.range.start < $1.range.start }
    }

    /// Runs the rules that apply to instructions that a stage's base left behind by ONBUILD.
    ///
    /// - Parameters:
    ///   - triggers: The instructions, read from a text of their own.
    ///   - stage: The stage that runs them first.
    /// - Returns: The findings, all at the stage's FROM.
    public static func findings(inTriggers triggers: [Instruction], of stage: Stage) -> [Diagnostic] {
        var linter = Linter()
        linter.override = stage.from.range
        linter.check(triggers)
        // A trigger may also be replaced by an instruction of the stage.
        let last = Linter.lasts(of: triggers)
        let own = Linter.lasts(of: stage.instructions)
        for (kind, keyword) in last where own[kind] != nil {
            linter.reportReplaced(kind, at: keyword.range)
        }
        return linter.findings
    }

    private mutating func report(_ rule: LintRule, _ message: String, at range: SourceRange, note: String? = nil) {
        let notes = note.map { [Diagnostic.Note($0)] } ?? []
        findings.append(Diagnostic(.warning, message, at: override ?? range, rule: rule, notes: notes))
    }

    // MARK: Stages

    private mutating func checkStageNames(_ stages: [Stage]) {
        var seen: [String: SourceRange] = [:]
        for stage in stages {
            guard case .from(let from) = stage.from.content, let word = from.name, let name = stage.name else {
                continue
            }
            if word.text != name {
                report(.stageNameCasing, "stage name \"\(word.text)\" is not in lower case", at: word.range)
            }
            if name == "scratch" || name == "context" {
                report(.reservedStageName, "\"\(name)\" is a reserved name and cannot be referred to", at: word.range)
            }
            if let first = seen[name] {
                findings.append(
                    Diagnostic(
                        .warning,
                        "a second stage is called \"\(name)\"",
                        at: word.range,
                        rule: .duplicateStageName,
                        notes: [.init("the first is here; later references mean the last one", at: first)]
                    )
                )
            }
            seen[name] = word.range
            checkAsCasing(stage.from, from)
        }
    }

    private mutating func checkAsCasing(_ instruction: Instruction, _ from: FromContent) {
        guard let keyword = from.asKeyword else { return }
        let (isLower, isUpper) = (instruction.keyword.isLowercase, instruction.keyword.isUppercase)
        guard isLower || isUpper, isLower ? !keyword.isLowercase : !keyword.isUppercase else { return }
        report(
            .fromAsCasing,
            "\"\(keyword.text)\" is not in the case of \"\(instruction.keyword.text)\"",
            at: keyword.range
        )
    }

    // MARK: Casing

    private mutating func checkCasing(_ stages: [Stage]) {
        let keywords = stages.flatMap { [$0.from] + $0.instructions }.filter { $0.kind != nil }
            .map(\.keyword)
        let lower = keywords.count { $0.isLowercase }
        let upper = keywords.count { $0.isUppercase && !$0.isLowercase }
        let wantsLower = lower > upper
        for keyword in keywords where wantsLower ? !keyword.isLowercase : !keyword.isUppercase {
            report(
                .consistentInstructionCasing,
                "\"\(keyword.text)\" is not in \(wantsLower ? "lower" : "upper") case as most instructions are",
                at: keyword.range
            )
        }
    }

    // MARK: Instructions

    /// What is doubtful as it is written, whether or not the stage is built.
    private mutating func checkTexts(_ stage: Stage) {
        checkDescription(stage.from)
        for instruction in stage.instructions {
            switch instruction.kind {
            case .arg: checkDescription(instruction)
            case .maintainer:
                report(
                    .maintainerDeprecated,
                    "MAINTAINER is deprecated",
                    at: instruction.keyword.range,
                    note: "write LABEL org.opencontainers.image.authors=\"…\""
                )
            default: break
            }
        }
    }

    /// What is doubtful in what instructions do.
    private mutating func check(_ instructions: [Instruction]) {
        var last: [Instruction.Kind: Word] = [:]
        var secrets: [String] = []
        for instruction in instructions {
            if let kind = instruction.kind, Linter.countsOnce(kind) {
                if let before = last.updateValue(instruction.keyword, forKey: kind) {
                    reportReplaced(kind, at: before.range)
                }
            }
            check(instruction, secrets: &secrets)
        }
    }

    private static func countsOnce(_ kind: Instruction.Kind) -> Bool {
        kind == .cmd || kind == .entrypoint || kind == .healthcheck
    }

    /// The keyword of the last CMD, ENTRYPOINT and HEALTHCHECK.
    private static func lasts(of instructions: [Instruction]) -> [Instruction.Kind: Word] {
        var last: [Instruction.Kind: Word] = [:]
        for instruction in instructions {
            if let kind = instruction.kind, countsOnce(kind) { last[kind] = instruction.keyword }
        }
        return last
    }

    private mutating func reportReplaced(_ kind: Instruction.Kind, at range: SourceRange) {
        report(
            .multipleInstructionsDisallowed,
            "this \(kind.rawValue) has no effect: a later one in the same stage replaces it",
            at: range
        )
    }

    private mutating func check(_ instruction: Instruction, secrets: inout [String]) {
        switch instruction.content {
        case .env(let pairs):
            for pair in pairs { checkSecret("ENV", pair.key) }
            checkLegacy(instruction, pairs)
        case .label(let pairs): checkLegacy(instruction, pairs)
        case .arg(let declarations):
            for declaration in declarations {
                checkSecret("ARG", declaration.name)
                if SecretName.matches(declaration.name.text) { secrets.append(declaration.name.text) }
            }
        case .run(let run): checkRun(instruction, run, secrets)
        default: break
        }
    }

    private mutating func checkLegacy(_ instruction: Instruction, _ pairs: [KeyValue]) {
        for pair in pairs where pair.isLegacy {
            report(
                .legacyKeyValueFormat,
                "\(instruction.keyword.text) \(pair.key.text) is in the old form without \"=\"",
                at: pair.key.range,
                note: "write \(instruction.keyword.text) \(pair.key.text)=…"
            )
        }
    }

    private mutating func checkSecret(_ keyword: String, _ name: Word) {
        guard SecretName.matches(name.text) else { return }
        report(
            .secretsUsedInArgOrEnv,
            "\(keyword) \"\(name.text)\" looks like a secret, and its value stays in the image",
            at: name.range,
            note: "give it to the step that needs it: RUN --mount=type=secret,id=…"
        )
    }

    private mutating func checkDescription(_ instruction: Instruction) {
        var names: [String] = []
        switch instruction.content {
        case .from(let from): names = from.name.map { [$0.text.lowercased()] } ?? []
        case .arg(let declarations): names = declarations.map(\.name.text)
        default: return
        }
        guard let comment = instruction.comments.last, let example = names.first else { return }
        let first = comment.text.prefix { $0 != " " }
        guard !names.contains(String(first)) else { return }
        report(
            .invalidDefinitionDescription,
            "the comment above does not start with \"\(names.count > 1 ? "NAME" : example)\"",
            at: instruction.keyword.range,
            note: "write \"# \(example) what it is for\", or leave an empty comment line between"
        )
    }

    private mutating func checkRun(_ instruction: Instruction, _ run: RunContent, _ secrets: [String]) {
        guard case .shell(let command) = run.command else { return }
        let text = ([command.text] + instruction.heredocs.map(\.text)).joined(separator: "\n")
        for name in secrets where ShellText.uses(name, in: text) {
            report(
                .secretArgUsedInRun,
                "build argument \"\(name)\" looks like a secret, and RUN writes it into the image's history",
                at: instruction.keyword.range,
                note: "write RUN --mount=type=secret,id=\(name.lowercased()),env=\(name) …"
            )
        }
        if ShellText.updatesPackageListOnly(text) {
            report(
                .aptGetUpdateAlone,
                "apt-get update alone is cached, and a later install finds an old package list",
                at: instruction.keyword.range,
                note: "write RUN apt-get update && apt-get install -y …"
            )
        }
    }
}

extension Word {
    fileprivate var isLowercase: Bool { text == text.lowercased() }
    fileprivate var isUppercase: Bool { text == text.uppercased() }
}

/// Names of variables that probably hold a secret.
enum SecretName {
    private static let secret: Set<String> = [
        "apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token",
    ]
    /// Parts that make a name harmless: a public key, the file that holds a password, a version.
    private static let harmless: Set<String> = ["public", "file", "version"]

    static func matches(_ name: String) -> Bool {
        let parts = name.lowercased().split(separator: "_", omittingEmptySubsequences: false).map(String.init)
        return parts.contains(where: secret.contains) && !parts.contains(where: harmless.contains)
    }
}

/// A little reading of shell text: enough for two rules, and never an error.
enum ShellText {
    /// Whether `$NAME` or `${NAME…}` stands in a text.
    static func uses(_ name: String, in text: String) -> Bool {
        let (bytes, name) = (Array(text.utf8), Array(name.utf8))
        guard !name.isEmpty else { return false }
        var index = 0
        while let dollar = bytes[index...].firstIndex(of: UInt8(ascii: "$")) {
            var start = dollar + 1
            let isBraced = start < bytes.count && bytes[start] == UInt8(ascii: "{")
            if isBraced { start += 1 }
            if bytes[start...].starts(with: name) {
                let next = start + name.count
                let isLonger = next < bytes.count && isNameByte(bytes[next])
                if !isLonger { return true }
            }
            index = dollar + 1
        }
        return false
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
            || (0x61...0x7A).contains(byte)
    }

    /// Whether a command updates apt's list of packages and then installs, upgrades or downloads nothing.
    static func updatesPackageListOnly(_ text: String) -> Bool {
        let words = text.split { $0.isWhitespace || ";&|()\"'`".contains($0) }.map(String.init)
        var updates = false
        for (index, word) in words.enumerated() where word == "apt-get" || word == "apt" {
            let command = words[(index + 1)...].first { !$0.hasPrefix("-") }
            guard command == "update" else { return false }
            updates = true
        }
        return updates && !text.contains("install")
    }
}
