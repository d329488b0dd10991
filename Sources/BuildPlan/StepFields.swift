// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import OCI

extension Step.Action {
    /// The key of a step with this action; of RUN, with the environment it sees.
    fileprivate func key(text: String, inputs: [StepKey], environment: StepKey?) -> StepKey {
        var fields = KeyFields(name)
        switch self {
        case .base(let base): base.add(to: &fields)
        case .copy(let copy): copy.add(to: &fields)
        case .run(let run): run.add(to: &fields, environment)
        case .directory(let directory):
            fields.add(directory.path)
            fields.add(directory.owner)
        case .config: fields.add(text)
        }
        fields.add(inputs)
        return StepKey(fields)
    }

    /// `base`, `copy`, `run`, `directory` or `config`.
    public var name: String {
        switch self {
        case .base: "base"
        case .copy: "copy"
        case .run: "run"
        case .directory: "directory"
        case .config: "config"
        }
    }
}

extension BaseAction {
    fileprivate func add(to fields: inout KeyFields) {
        switch origin {
        case .scratch: fields.add("scratch")
        case .image(let reference):
            fields.add("image")
            fields.add(reference.description)
        case .namedContext(let name):
            fields.add("context")
            fields.add(name)
        }
        fields.add(platform.description)
        fields.add(platform.osVersion)
    }
}

extension CopyAction {
    fileprivate func add(to fields: inout KeyFields) {
        switch origin {
        case .context: fields.add("context")
        case .namedContext(let name):
            fields.add("named")
            fields.add(name)
        // The step's own key is among the inputs.
        case .step: fields.add("step")
        }
        fields.add(count: sources.count)
        for source in sources {
            switch source {
            case .path(let path): fields.add(["path", path])
            case .inline(let name, let content): fields.add(["inline", name, content])
            case .url(let url): fields.add(["url", RemoteLogin.split(url).address])
            case .git(let git):
                fields.add(["git", git.remote, git.ref, git.subfolder, git.commit ?? ""])
                fields.add(git.skipsSubmodules)
                fields.add(git.fetchesByCommit)
            }
        }
        fields.add(destination)
        fields.add(owner)
        fields.add(mode?.text)
        fields.add(excludes)
        fields.add(checksum)
        fields.add(unpacks.map { $0 ? "unpack every kind" : "keep" })
        for flag in [keepsParents, isLink, keepsGitDirectory, isAdd] {
            fields.add(flag)
        }
    }
}

extension RunAction {
    fileprivate func add(to fields: inout KeyFields, _ environment: StepKey?) {
        fields.add(arguments)
        fields.add(environment.map { [$0] } ?? [])
        fields.add(workingDirectory)
        fields.add(user)
        fields.add(network)
        fields.add(security)
        fields.add(devices.flatMap { [$0.name, $0.isRequired ? "required" : "optional"] })
        fields.add(script.map { [$0.name, $0.content] } ?? [])
        fields.add(count: mounts.count)
        for mount in mounts {
            mount.add(to: &fields)
        }
    }
}

extension RunMount {
    fileprivate func add(to fields: inout KeyFields) {
        switch origin {
        case .none: fields.add("none")
        case .context: fields.add("context")
        case .namedContext(let name): fields.add("named " + name)
        case .step: fields.add("step")
        }
        fields.add([mount.kind.rawValue, mount.from, mount.source, target, id, mount.sharing?.rawValue ?? ""])
        fields.add(mount.isReadOnly)
        fields.add(mount.isRequired)
        fields.add(mount.environmentName)
        fields.add(count: Int(mount.sizeLimit))
        fields.add([mount.mode, mount.uid, mount.gid].map { $0.map(String.init) ?? "" })
    }
}

extension Plan {
    /// The definition key of every step: what it does, and the keys of its inputs.
    ///
    /// They are made when they are asked for: a build goes by ``ownKey(of:)`` and the content of its inputs.
    ///
    /// - Returns: One key for each of ``steps``, in order.
    public func definitionKeys() -> [StepKey] {
        let environments = environmentKeys()
        var keys: [StepKey] = []
        keys.reserveCapacity(steps.count)
        for step in steps {
            let environment = step.action.assignment.map { environments[$0] }
            keys.append(
                step.action.key(text: step.text, inputs: step.inputs.map { keys[$0] }, environment: environment)
            )
        }
        return keys
    }

    /// A step by itself, without its inputs: for caches that know these by their content.
    ///
    /// - Parameter step: A step of this plan.
    /// - Returns: Its key.
    public func ownKey(of step: Step) -> StepKey {
        let environment = step.action.assignment.map { _ -> StepKey in
            var fields = KeyFields("environment")
            if case .run(let run) = step.action { fields.add(self.environment(of: run)) }
            return StepKey(fields)
        }
        return step.action.key(text: step.text, inputs: [], environment: environment)
    }

    /// A key for the variables after each change: one step each, where hashing all of them would take one for each.
    private func environmentKeys() -> [StepKey] {
        var keys: [StepKey] = []
        keys.reserveCapacity(assignments.count)
        for assignment in assignments {
            var fields = KeyFields("variable")
            fields.add(assignment.previous.map { [keys[$0]] } ?? [])
            fields.add(assignment.name)
            fields.add(assignment.value)
            keys.append(StepKey(fields))
        }
        return keys
    }
}

extension Step.Action {
    /// The last change of a variable that the step sees; `nil` where it sees none.
    fileprivate var assignment: Int? {
        if case .run(let run) = self { run.assignment } else { nil }
    }
}
