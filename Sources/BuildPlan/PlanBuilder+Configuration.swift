// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

// Instructions that change the image's configuration.
extension PlanBuilder {
    mutating func evaluateEnv(_ pairs: [KeyValue], at range: SourceRange, in scope: StageScope) {
        guard let expanded = expandPairs(pairs, in: scope) else { return }
        // All values are expanded with the variables as they were before the instruction.
        for (name, value) in expanded {
            scope.state.setEnvironment(name, value)
        }
        checkEnvironment(at: range, in: scope)
        addConfig("ENV " + HistoryText.pairs(expanded), at: range, in: scope)
    }

    mutating func evaluateLabel(_ pairs: [KeyValue], at range: SourceRange, in scope: StageScope) {
        guard let expanded = expandPairs(pairs, in: scope) else { return }
        for (name, value) in expanded {
            scope.state.image.labels[name] = value
        }
        addConfig("LABEL " + HistoryText.pairs(expanded), at: range, in: scope)
    }

    private mutating func expandPairs(_ pairs: [KeyValue], in scope: StageScope) -> [(String, String)]? {
        var expanded: [(String, String)] = []
        for pair in pairs {
            if let key = expand(pair.key, in: scope), let value = expand(pair.value, in: scope) {
                expanded.append((key, value))
            }
        }
        return expanded.count == pairs.count ? expanded : nil
    }

    mutating func evaluateArg(
        _ declarations: [ArgumentDeclaration],
        at range: SourceRange,
        in scope: StageScope
    ) {
        var texts: [String] = []
        for declaration in declarations {
            let name = declaration.name.text
            var value: String?
            if let given = graph.arguments[name] {
                value = given
            } else if let word = declaration.value {
                guard let expanded = expand(word, in: scope) else { continue }
                value = expanded
            } else {
                value = graph.globals[name]
            }
            if let value, !ArgumentScope.hidden.contains(name) { scope.state.variables.set(name, value) }
            scope.state.declare(name, value)
            texts.append(name + (value.map { "=" + $0 } ?? ""))
        }
        checkEnvironment(at: range, in: scope)
        addConfig("ARG " + texts.joined(separator: " "), at: range, in: scope)
    }

    mutating func evaluateUser(_ word: Word, at range: SourceRange, in scope: StageScope) {
        guard let user = expand(word, in: scope) else { return }
        scope.state.image.user = user
        addConfig("USER \(user)", at: range, in: scope)
    }

    mutating func evaluateWorkdir(_ word: Word, at range: SourceRange, in scope: StageScope) {
        guard let path = expand(word, in: scope) else { return }
        if !scope.state.setsDirectory, !path.hasPrefix("/") {
            warn(
                .workdirRelativePath,
                "WORKDIR \"\(path)\" is relative to whatever the base image's is",
                at: word.range,
                in: scope
            )
        }
        scope.state.setsDirectory = true
        let directory = ImagePath.absolute(path, in: scope.state.image.workingDirectory, keepsSlash: false)
        scope.state.image.workingDirectory = directory
        guard directory != "/" else {
            addConfig("WORKDIR /", at: range, in: scope)
            return
        }
        let action = DirectoryAction(path: directory, owner: scope.state.image.user)
        note("WORKDIR \(directory)", emptyLayer: false, in: scope)
        addLayer(.directory(action), text: "WORKDIR \(directory)", extra: [], at: range, in: scope)
    }

    mutating func evaluateVolume(_ words: [Word], at range: SourceRange, in scope: StageScope) {
        var volumes: [String] = []
        for word in words {
            guard let volume = expand(word, in: scope) else { continue }
            if volume.isEmpty { fail("the volume \"\(word.text)\" expands to nothing", at: word.range, in: scope) }
            volumes.append(volume)
        }
        scope.state.image.volumes.formUnion(volumes)
        addConfig("VOLUME " + HistoryText.list(volumes), at: range, in: scope)
    }

    mutating func evaluateStopSignal(_ word: Word, at range: SourceRange, in scope: StageScope) {
        guard let signal = expand(word, in: scope) else { return }
        guard SignalName.isKnown(signal) else {
            let near = Suggestion.phrase(for: signal.uppercased(), among: SignalName.all.map { "SIG" + $0 })
            fail("\"\(signal)\" is no signal\(near)", at: word.range, in: scope)
            return
        }
        scope.state.image.stopSignal = signal
        addConfig("STOPSIGNAL \(signal)", at: range, in: scope)
    }

    mutating func evaluateShell(_ words: [Word], at range: SourceRange, in scope: StageScope) {
        scope.state.image.shell = words.map(\.text)
        addConfig("SHELL " + HistoryText.list(scope.state.image.shell), at: range, in: scope)
    }

    mutating func evaluateExpose(_ words: [Word], at range: SourceRange, in scope: StageScope) {
        let sorted = words.sorted { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }
        var ports: [String] = []
        for word in sorted {
            do {
                for text in try expander.words(word.text, with: { scope.state.variables[$0] }) {
                    ports += try expose(text, at: word.range, in: scope)
                }
            } catch let error as ExpansionError {
                fail(error.message, at: word.range, in: scope)
            } catch let error as ExposedPorts.Fault {
                fail(error.message, at: word.range, in: scope)
            } catch {
                fail("\(error)", at: word.range, in: scope)
            }
        }
        scope.state.image.exposedPorts.formUnion(ports)
        addConfig("EXPOSE " + HistoryText.list(ports), at: range, in: scope)
    }

    private mutating func expose(_ text: String, at range: SourceRange, in scope: StageScope) throws -> [String] {
        let ports = try ExposedPorts(text)
        if ports.transport != ports.transport.lowercased() {
            warn(.exposeProtoCasing, "protocol \"\(ports.transport)\" is not in lower case", at: range, in: scope)
        }
        if ports.hasHostPart {
            warn(
                .exposeInvalidFormat,
                "\"\(text)\" names an address or a host port; EXPOSE is about the container's port alone",
                at: range,
                in: scope
            )
        }
        return ports.names
    }

    // MARK: Commands

    /// The words of a command, a shell before it where it is in shell form.
    func words(_ form: CommandForm, in scope: StageScope) -> [String] {
        switch form {
        case .exec(let words): words.map(\.text)
        case .shell(let word): shell(in: scope) + [word.text]
        }
    }

    /// The shell of shell-form commands.
    func shell(in scope: StageScope) -> [String] {
        let shell = scope.state.image.shell
        if !shell.isEmpty { return shell }
        return scope.state.platform.os == "windows" ? ["cmd", "/S", "/C"] : ["/bin/sh", "-c"]
    }

    private mutating func recommendArray(_ form: CommandForm, _ instruction: Instruction, in scope: StageScope) {
        guard case .shell(let word) = form, scope.state.image.shell.isEmpty else { return }
        warn(
            .jsonArgsRecommended,
            "\(instruction.keyword.text) in shell form puts a shell between signals and the program",
            at: instruction.keyword.range,
            in: scope,
            notes: [.init("write \(instruction.keyword.text) \(HistoryText.suggestedArray(word.text))")]
        )
    }

    mutating func evaluateCommand(_ form: CommandForm, _ instruction: Instruction, in scope: StageScope) {
        recommendArray(form, instruction, in: scope)
        let words = words(form, in: scope)
        // An empty list is left out of a configuration, and so out of the one that a child stage starts with.
        scope.state.image.command = words.isEmpty ? nil : words
        scope.state.image.isArgsEscaped = true
        scope.state.setsCommand = true
        addConfig("CMD " + HistoryText.quoted(words), at: instruction.range, in: scope)
    }

    mutating func evaluateEntrypoint(_ form: CommandForm, _ instruction: Instruction, in scope: StageScope) {
        recommendArray(form, instruction, in: scope)
        let words = words(form, in: scope)
        scope.state.image.entrypoint = words.isEmpty ? nil : words
        // The base's CMD holds arguments for the base's entrypoint.
        if !scope.state.setsCommand { scope.state.image.command = nil }
        addConfig("ENTRYPOINT " + HistoryText.quoted(words), at: instruction.range, in: scope)
    }

    mutating func evaluateHealthcheck(
        _ check: HealthcheckContent,
        at range: SourceRange,
        in scope: StageScope
    ) {
        var test = ["NONE"]
        switch check.command {
        case .shell(let word): test = ["CMD-SHELL", word.text]
        case .exec(let words): test = ["CMD"] + words.map(\.text)
        case nil: break
        }
        let healthcheck = ImageConfig.Healthcheck(
            test: test,
            interval: check.interval,
            timeout: check.timeout,
            startPeriod: check.startPeriod,
            startInterval: check.startInterval,
            retries: check.retries
        )
        scope.state.image.healthcheck = healthcheck
        addConfig("HEALTHCHECK " + HistoryText.healthcheck(healthcheck), at: range, in: scope)
    }
}
