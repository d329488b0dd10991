// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

// COPY and ADD.
extension PlanBuilder {
    mutating func evaluateTransfer(
        _ transfer: TransferContent,
        _ instruction: Instruction,
        in scope: StageScope
    ) {
        let isAdd = instruction.kind == .add
        let before = diagnostics.count
        let owner = transfer.chown.flatMap { expand($0, in: scope) }
        let modeText = transfer.chmod.flatMap { expand($0, in: scope) }
        let mode = modeText.flatMap { readMode($0, transfer, in: scope) }
        let checksum = transfer.checksum.flatMap { expand($0, in: scope) }
        let paths = expandPaths(transfer, in: scope)
        let inlines = inlineFiles(transfer, instruction, in: scope)
        let written = expand(transfer.destination, in: scope) ?? ""
        let origin = origin(of: transfer, in: scope)
        let sources = paths.compactMap { source($0.text, $0.word, transfer, isAdd: isAdd, in: scope) }
        checkChecksum(checksum, sources, transfer, in: scope)
        if origin == .context { checkIgnored(paths, isAdd: isAdd, in: scope) }
        guard let origin, !diagnostics[before...].contains(where: { $0.severity == .error }) else { return }
        let action = CopyAction(
            origin: origin,
            sources: sources + inlines.map { .inline(name: $0.0, content: $0.1) },
            destination: ImagePath.absolute(destination(written), in: directory(of: scope), keepsSlash: true),
            owner: owner.flatMap { $0.isEmpty ? nil : $0 },
            mode: mode,
            excludes: transfer.excludes.map(\.text),
            keepsParents: transfer.keepsParents,
            isLink: transfer.isLink,
            unpacks: transfer.unpacks,
            checksum: checksum.flatMap { $0.isEmpty ? nil : $0 } ?? commit(of: sources),
            keepsGitDirectory: transfer.keepsGitDirectory ?? keepsGitDirectory(sources),
            isAdd: isAdd
        )
        var words = ""
        if transfer.keepsParents { words += " --parents" }
        if let owner, !owner.isEmpty { words += " --chown=" + owner }
        if let modeText, !modeText.isEmpty { words += " --chmod=" + modeText }
        for path in paths { words += " " + path.text }
        for inline in inlines { words += " <<" + inline.0 }
        words += " " + written
        // History is for everybody who has the image.
        if isAdd { words = RemoteLogin.masked(words) }
        let name = isAdd ? "ADD" : "COPY"
        note(name + words + " # buildkit", emptyLayer: false, in: scope)
        let text = name + (transfer.from.map { " --from=" + $0.text } ?? "") + words
        var extra: [Int] = []
        if case .step(let step) = origin { extra = [step] }
        addLayer(.copy(action), text: text, extra: extra, at: instruction.range, in: scope)
    }

    /// `.` and nothing both mean the working directory.
    private func destination(_ written: String) -> String {
        written.isEmpty || written == "." ? "./" : written
    }

    /// The working directory with slashes: layers have them in every path, those of Windows images too.
    private func directory(of scope: StageScope) -> String {
        let directory = scope.state.directory
        guard scope.state.platform.os == "windows" else { return directory }
        return String(directory.map { $0 == "\\" ? "/" : $0 })
    }

    private func commit(of sources: [CopyAction.Source]) -> String? {
        for case .git(let git) in sources {
            return git.commit
        }
        return nil
    }

    private func keepsGitDirectory(_ sources: [CopyAction.Source]) -> Bool {
        for case .git(let git) in sources {
            return git.keepsGitDirectory ?? false
        }
        return false
    }

    private mutating func expandPaths(_ transfer: TransferContent, in scope: StageScope) -> [(text: String, word: Word)]
    {
        var paths: [(text: String, word: Word)] = []
        for case .path(let word) in transfer.sources {
            if let text = expand(word, in: scope) { paths.append((text, word)) }
        }
        return paths
    }

    private mutating func inlineFiles(
        _ transfer: TransferContent,
        _ instruction: Instruction,
        in scope: StageScope
    ) -> [(String, String)] {
        let raw = WordExpander(options: [.skipQuotes])
        var files: [(String, String)] = []
        for case .heredoc(let index, let mark) in transfer.sources {
            let heredoc = instruction.heredocs[index]
            guard heredoc.expands else {
                files.append((heredoc.name, heredoc.text))
                continue
            }
            // Findings belong to the instruction, whose line a comment above it can speak for.
            if let content = expand(Word(heredoc.text, at: mark.range), with: raw, in: scope) {
                files.append((heredoc.name, content))
            }
        }
        return files
    }

    private mutating func readMode(_ text: String, _ transfer: TransferContent, in scope: StageScope) -> FileMode? {
        if text.isEmpty { return nil }
        if let mode = FileMode(text) { return mode }
        fail(
            "--chmod \"\(text)\" is neither an octal number up to 07777 nor a change such as u=rwX,go=rX",
            at: transfer.chmod?.range ?? transfer.destination.range,
            in: scope
        )
        return nil
    }

    private mutating func origin(of transfer: TransferContent, in scope: StageScope) -> CopyAction.Origin? {
        guard let from = transfer.from else { return .context }
        let plain = try? expander.expand(from.text) { _ in nil }
        guard plain?.text == from.text else {
            fail(
                "--from=\(from.text) has a variable or quotes, and --from is not expanded",
                at: from.range,
                in: scope,
                notes: [.init("name a stage instead: FROM \(from.text) AS name, and --from=name")]
            )
            return nil
        }
        return source(from, isCopy: true, in: scope)
    }

    // MARK: Sources

    private mutating func source(
        _ text: String,
        _ word: Word,
        _ transfer: TransferContent,
        isAdd: Bool,
        in scope: StageScope
    ) -> CopyAction.Source? {
        do {
            if let git = try GitSource(text) {
                guard isAdd else {
                    fail("COPY takes no git repository; ADD does", at: word.range, in: scope)
                    return nil
                }
                checkGit(git, transfer, word, in: scope)
                return .git(git)
            }
        } catch {
            fail(error.message, at: word.range, in: scope)
            return nil
        }
        guard URLSource.matches(text) else { return .path(text) }
        guard isAdd else {
            fail("COPY takes no URL; ADD does", at: word.range, in: scope)
            return nil
        }
        return .url(text)
    }

    private mutating func checkGit(
        _ git: GitSource,
        _ transfer: TransferContent,
        _ word: Word,
        in scope: StageScope
    ) {
        if let flag = transfer.keepsGitDirectory, let query = git.keepsGitDirectory, flag != query {
            fail("--keep-git-dir and the source's keep-git-dir say different things", at: word.range, in: scope)
        }
        if let flag = transfer.checksum?.text, let query = git.commit, flag != query {
            fail("--checksum and the source's commit are different", at: word.range, in: scope)
        }
    }

    private mutating func checkChecksum(
        _ checksum: String?,
        _ sources: [CopyAction.Source],
        _ transfer: TransferContent,
        in scope: StageScope
    ) {
        guard let checksum, !checksum.isEmpty, let range = transfer.checksum?.range else { return }
        guard sources.count == 1 else {
            fail("--checksum is for one source, and there are \(sources.count)", at: range, in: scope)
            return
        }
        switch sources[0] {
        case .git: break
        case .url:
            let parts = checksum.split(separator: ":", omittingEmptySubsequences: false)
            let isDigest =
                parts.count == 2 && parts[0] == "sha256" && parts[1].utf8.count == 64
                && parts[1].allSatisfy { $0.isHexDigit && !$0.isUppercase }
            if !isDigest {
                fail("--checksum \"\(checksum)\" is not sha256: and 64 hexadecimal digits", at: range, in: scope)
            }
        case .path, .inline:
            fail("--checksum is for URLs and git repositories, not for local files", at: range, in: scope)
        }
    }

    // MARK: Hidden files

    /// Warns of sources that .dockerignore hides; with exceptions in it, only where none can bring anything back.
    private mutating func checkIgnored(_ paths: [(text: String, word: Word)], isAdd: Bool, in scope: StageScope) {
        guard let file = graph.options.ignoreFile else { return }
        let hasExceptions = file.rules.contains(where: \.isException)
        for (text, word) in paths where !URLSource.matches(text) {
            let path = String(ImagePath.cleaned("/" + text).dropFirst())
            if path.isEmpty, !file.rules.contains(where: { ["*", "**", "**/*"].contains($0.pattern) }) { continue }
            let decision = file.decision(for: path.isEmpty ? "." : path)
            guard decision.isIgnored || path.isEmpty else { continue }
            if hasExceptions {
                let isPlain = !path.isEmpty && !path.contains { "*?[\\".contains($0) }
                guard isPlain, file.hidesAll(below: Array(path.utf8)) else { continue }
            }
            let rule = decision.rule.map { ".dockerignore:\($0.line) (\"\($0.pattern)\") hides it" }
            warn(
                .copyIgnoredFile,
                "\(isAdd ? "ADD" : "COPY") of \"\(text)\", which is not in the build context",
                at: word.range,
                in: scope,
                notes: rule.map { [.init($0)] } ?? []
            )
        }
    }
}
