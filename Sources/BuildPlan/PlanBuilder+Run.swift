// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

// RUN and its mounts.
extension PlanBuilder {
    mutating func evaluateRun(_ run: RunContent, _ instruction: Instruction, in scope: StageScope) {
        let mounts = run.mounts.isEmpty ? [] : run.mounts.map { mount($0, in: scope) }
        let resolved = mounts.compactMap { $0 }
        let (form, script) = command(run, instruction, in: scope)
        let arguments = form
        if case .exec(let words) = run.command, words.isEmpty {
            fail("RUN needs a command", at: instruction.range, in: scope)
        }
        guard resolved.count == mounts.count else { return }
        let action = RunAction(
            arguments: arguments,
            assignment: scope.state.variables.last,
            proxies: graph.proxies,
            workingDirectory: scope.state.directory,
            user: scope.state.image.user,
            mounts: resolved,
            network: run.network,
            security: run.security,
            devices: run.devices,
            script: script
        )
        let extra = resolved.compactMap { mount in
            if case .step(let step) = mount.origin { step } else { nil }
        }
        note("RUN " + history(arguments, in: scope) + " # buildkit", emptyLayer: false, in: scope)
        addLayer(.run(action), text: text(instruction), extra: extra, at: instruction.range, in: scope)
    }

    /// The instruction on one line, its heredocs shortened to their first line.
    private func text(_ instruction: Instruction) -> String {
        var text = instruction.kind?.rawValue ?? ""
        for flag in instruction.flags {
            text += " " + flag.raw.text
        }
        text += " " + instruction.arguments.text
        if let heredoc = instruction.heredocs.first {
            let lines = heredoc.text.split(whereSeparator: \.isNewline)
            text += " (\(lines.first.map(String.init) ?? "")\(lines.count > 1 ? "…" : ""))"
        }
        return text
    }

    /// The command with its shell, and the script of a heredoc that is one.
    private func command(
        _ run: RunContent,
        _ instruction: Instruction,
        in scope: StageScope
    ) -> ([String], RunAction.Script?) {
        guard case .shell(let word) = run.command, let first = instruction.heredocs.first else {
            return (words(run.command, in: scope), nil)
        }
        guard HeredocMark.isMark(word.text) else {
            // The shell reads these heredocs itself.
            let bodies = instruction.heredocs.map { "\n\($0.content)\($0.name)" }.joined()
            return (shell(in: scope) + [word.text + bodies], nil)
        }
        let content = first.text
        guard scope.state.platform.os != "windows", content.hasPrefix("#!") else {
            return (shell(in: scope) + [content], nil)
        }
        let script = RunAction.Script(name: first.name, content: content)
        return (shell(in: scope) + ["/dev/pipes/" + first.name], script)
    }

    /// The command with the arguments in force before it, as `docker history` shows it.
    private func history(_ arguments: [String], in scope: StageScope) -> String {
        if scope.state.arguments.isEmpty { return arguments.joined(separator: " ") }
        let values = scope.state.arguments.map { name, value in
            "\(name)=\(scope.state.variables[name] ?? value ?? "")"
        }
        return (["|\(values.count)"] + values + arguments).joined(separator: " ")
    }

    // MARK: Mounts

    private mutating func mount(_ flag: Word, in scope: StageScope) -> RunMount? {
        do {
            var unset: [String] = []
            let expander = expander
            let mount = try Mount(flag) { text throws(SyntaxError) in
                do throws(ExpansionError) {
                    let expansion = try expander.expand(text) { scope.state.variables[$0] }
                    unset += expansion.unmatched
                    return expansion.text
                } catch {
                    throw SyntaxError(error.message, at: flag.range)
                }
            }
            reportUnset(unset, at: flag.range, in: scope)
            return resolve(mount, flag, in: scope)
        } catch {
            fail(error.diagnostic.message, at: error.diagnostic.range, in: scope, notes: error.diagnostic.notes)
            return nil
        }
    }

    private mutating func resolve(_ mount: Mount, _ flag: Word, in scope: StageScope) -> RunMount? {
        switch mount.kind {
        case .secret: return secret(mount)
        case .ssh:
            if !mount.source.isEmpty {
                fail("an ssh mount has no source", at: flag.range, in: scope)
                return nil
            }
            return RunMount(
                mount: mount,
                origin: .none,
                target: mount.target,
                id: mount.id.isEmpty ? "default" : mount.id
            )
        case .bind, .cache, .tmpfs: break
        }
        var target = mount.target
        if !target.hasPrefix("/") { target = ImagePath.cleaned(scope.state.directory + "/" + target) }
        guard ImagePath.cleaned(target) != "/" else {
            fail("a mount cannot cover the root: its target is \"\(mount.target)\"", at: flag.range, in: scope)
            return nil
        }
        guard let origin = origin(of: mount, flag, in: scope) else { return nil }
        let id = mount.kind == .cache && mount.id.isEmpty ? ImagePath.cleaned(mount.target) : mount.id
        return RunMount(mount: mount, origin: origin, target: target, id: id)
    }

    private func secret(_ mount: Mount) -> RunMount {
        var id = mount.source.isEmpty ? mount.id : mount.source
        if id.isEmpty { id = ImagePath.base(mount.target) }
        var target = mount.target
        if target.isEmpty, mount.environmentName == nil { target = "/run/secrets/" + ImagePath.base(id) }
        return RunMount(mount: mount, origin: .none, target: target, id: id)
    }

    private mutating func origin(of mount: Mount, _ flag: Word, in scope: StageScope) -> RunMount.Origin? {
        if mount.from.isEmpty { return mount.kind == .bind ? .context : RunMount.Origin.none }
        guard let source = source(Word(mount.from, at: flag.range), isCopy: false, in: scope) else { return nil }
        switch source {
        case .context: return .context
        case .namedContext(let name): return .namedContext(name)
        case .step(let step): return .step(step)
        }
    }

    /// Where the files of a stage, image or named context come from; `nil` after a fault.
    mutating func source(_ word: Word, isCopy: Bool, in scope: StageScope) -> CopyAction.Origin? {
        guard let reference = graph.reference(word, isCopy: isCopy) else {
            let reason =
                Int(word.text) != nil
                ? "stage \(word.text) does not exist; there are \(graph.nodes.count)"
                : "\"\(word.text)\" is neither a stage nor an image"
                    + Suggestion.phrase(for: word.text, among: graph.stageNames)
            fail(reason, at: word.range, in: scope)
            return nil
        }
        switch reference {
        case .external(let action):
            warnIfNearStage(word, action, in: scope)
            if case .namedContext(let name) = action.origin { return .namedContext(name) }
            return .step(step(of: action, at: word.range))
        case .stage(let index):
            if let result = states[index]?.filesystem { return .step(result) }
            let stage = graph.nodes[index].stage
            fail(
                index == scope.node.stage.index
                    ? "stage \"\(stage.label)\" cannot take files from itself"
                    : "stage \"\(stage.label)\" is defined only after it is used",
                at: word.range,
                in: scope,
                notes: [.init("it is defined here", at: stage.from.range)]
            )
            return nil
        }
    }

    private mutating func warnIfNearStage(_ word: Word, _ action: BaseAction, in scope: StageScope) {
        guard case .image = action.origin, !word.text.contains(where: { "/:.@".contains($0) }),
            let near = Suggestion.nearest(to: word.text, among: graph.stageNames)
        else { return }
        let message = "stage \"\(word.text)\" does not exist, did you mean \"\(near)\"? (it is taken as an image)"
        diagnostics.append(Diagnostic(.warning, message, at: scope.place(word.range)))
    }
}
