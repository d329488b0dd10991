// SPDX-License-Identifier: Apache-2.0

/// The lint rules that need nothing but the tree; those that need variables and bases run while planning.
public struct Linter {
    private let dockerfile: Dockerfile
    private var findings: [Diagnostic] = []

    /// Runs every rule on a file.
    ///
    /// - Parameter dockerfile: The file.
    /// - Returns: The findings in the order of the file, of all rules: filter them with
    ///   ``LintConfiguration/filter(_:in:)``.
    public static func findings(in dockerfile: Dockerfile) -> [Diagnostic] {
        var linter = Linter(dockerfile: dockerfile)
        linter.checkStageNames()
        linter.checkCasing()
        for argument in dockerfile.globalArguments {
            linter.checkDescription(argument)
        }
        for stage in dockerfile.stages {
            linter.check(stage)
        }
        return linter.findings.sorted { $0.range.start < $1.range.start }
    }

    private init(dockerfile: Dockerfile) {
        self.dockerfile = dockerfile
    }

    private mutating func report(_ rule: LintRule, _ message: String, at range: SourceRange, note: String? = nil) {
        let notes = note.map { [Diagnostic.Note($0)] } ?? []
        findings.append(Diagnostic(.warning, message, at: range, rule: rule, notes: notes))
    }

    // MARK: Stages

    private mutating func checkStageNames() {
        var seen: [String: SourceRange] = [:]
        for stage in dockerfile.stages {
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

    private mutating func checkCasing() {
        let keywords = dockerfile.stages.flatMap { [$0.from] + $0.instructions }.filter { $0.kind != nil }
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

    private mutating func check(_ stage: Stage) {
        checkDescription(stage.from)
        var last: [Instruction.Kind: Word] = [:]
        var secrets: [String] = []
        for instruction in stage.instructions {
            if let kind = instruction.kind, [.cmd, .entrypoint, .healthcheck].contains(kind) {
                if let before = last[kind] {
                    report(
                        .multipleInstructionsDisallowed,
                        "this \(kind.rawValue) has no effect: a later one in the same stage replaces it",
                        at: before.range
                    )
                }
                last[kind] = instruction.keyword
            }
            check(instruction, secrets: &secrets)
        }
    }

    private mutating func check(_ instruction: Instruction, secrets: inout [String]) {
        switch instruction.content {
        case .maintainer:
            report(
                .maintainerDeprecated,
                "MAINTAINER is deprecated",
                at: instruction.keyword.range,
                note: "write LABEL org.opencontainers.image.authors=\"…\""
            )
        case .env(let pairs):
            for pair in pairs { checkSecret("ENV", pair.key) }
            checkLegacy(instruction, pairs)
        case .label(let pairs): checkLegacy(instruction, pairs)
        case .arg(let declarations):
            checkDescription(instruction)
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
