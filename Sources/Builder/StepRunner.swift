// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import DockerfileSyntax
internal import OCI
internal import Rootfs

/// Does one step: COPY, ADD or WORKDIR.
struct StepRunner {
    let builder: ImageBuilder
    private let step: Step
    /// The layers it builds on.
    private let below: [Layer]

    init(_ builder: ImageBuilder, _ step: Step, _ below: [Layer]) {
        (self.builder, self.step, self.below) = (builder, step, below)
    }

    // MARK: Keys

    /// The step without the content of files.
    func definition() -> Digest {
        var key = KeyHasher("step \(TarHeader.version)")
        key.add(builder.plan.ownKey(of: step).description)
        key.add(builder.settings.compression.identity)
        key.add(builder.settings.epoch.map { String($0) } ?? "")
        // A linked copy does not depend on what is below it, unless the number of a user is looked up there.
        if !isLink || looksUpOwner {
            for layer in below { key.add(layer.diffID.description) }
        }
        return key.finish()
    }

    private var isLink: Bool {
        if case .copy(let copy) = step.action { copy.isLink && copy.mode == nil } else { false }
    }

    private var looksUpOwner: Bool {
        guard case .copy(let copy) = step.action, let owner = copy.owner else { return false }
        return !owner.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == UInt8(ascii: ":") }
    }

    /// The step with the content of files.
    func key(_ definition: Digest) throws -> Digest {
        guard case .copy(let copy) = step.action else { return definition }
        var key = KeyHasher("content-5")
        key.add(definition.description)
        if case .step(let index) = copy.origin {
            for layer in builder.layers(ofStep: index) { key.add(layer.diffID.description) }
            return key.finish()
        }
        for case .git(let git) in copy.sources { key.add(try commit(of: git, copy).1) }
        for source in copy.sources { try addDownload(source, to: &key) }
        if copy.sources.allSatisfy({ if case .path = $0 { false } else { true } }) { return key.finish() }
        let tree = try builder.tree(of: copy.origin)
        let rules = try rules(copy, nil)
        for case .path(let path) in copy.sources {
            let (pattern, include, _) = StepRunner.parts(path, keepsParents: copy.keepsParents)
            var narrowed = rules
            narrowed.include = include
            for match in try tree.matches(pattern) {
                for name in match { key.add(name) }
                guard let node = try tree.node(at: tree.resolve(match)) else { throw CopyFault.missing(match) }
                try lookAhead(node, narrowed)
                try builder.digests.describe(node, narrowed, into: &key)
            }
        }
        return key.finish()
    }

    // MARK: Doing

    /// Changes the files as the step says.
    func run(on tree: FileTree) throws {
        switch step.action {
        case .copy(let copy): try run(copy, on: tree)
        case .directory(let directory):
            var rules = CopyRules()
            rules.owner = directory.owner.isEmpty ? nil : try owner(directory.owner, tree)
            try tree.makeFolders(tree.resolve(FileTree.names(directory.path.utf8)), rules)
        case .base, .config, .run: break
        }
    }

    private func run(_ copy: CopyAction, on tree: FileTree) throws {
        // What a linked copy makes is laid over what is there, whatever that is.
        let target = isLink ? FileTree() : tree
        let rules = try rules(copy, tree)
        for source in copy.sources {
            switch source {
            case .path(let path): try self.copy(path, copy, rules, to: target)
            case .inline(let name, let text): try copyInline(name, text, copy, rules, to: target)
            case .url: try copyDownload(source, copy, rules, to: target)
            case .git(let git): try copyGit(git, copy, rules, to: target)
            }
        }
        if isLink { try overlay(target, on: tree) }
    }

    private func copy(_ path: String, _ copy: CopyAction, _ rules: CopyRules, to target: FileTree) throws {
        let source = try builder.tree(of: copy.origin)
        let (pattern, include, required) = StepRunner.parts(path, keepsParents: copy.keepsParents)
        if let required, try source.node(at: source.resolve(required)) == nil { throw CopyFault.missing(required) }
        var rules = rules
        rules.include = include
        let copier = { FileCopier(from: source, to: target, rules) }
        let adder = ArchiveAdder(content: builder.content, destination: target, everyKind: copy.unpacks == true)
        for match in try source.matches(pattern) {
            if copy.unpacks ?? copy.isAdd {
                let resolved = try source.resolve(match)
                if let node = try source.node(at: resolved),
                    try adder.add(
                        node,
                        FileTree.text(match),
                        to: FileTree.names(copy.destination.utf8),
                        owner: rules.owner
                    )
                {
                    continue
                }
            }
            if let node = try source.node(at: source.resolve(match)) { try lookAhead(node, rules) }
            try copier().copy(match, to: copy.destination)
        }
    }

    /// Looks at all that will be copied of a folder at once, where nothing is left out.
    private func lookAhead(_ node: FileNode, _ rules: CopyRules) throws {
        if rules.include == nil, rules.exclude == nil {
            try node.loadAll(cores: builder.settings.cores, digest: builder.digests.known())
        }
    }

    private func copyInline(
        _ name: String,
        _ text: String,
        _ copy: CopyAction,
        _ rules: CopyRules,
        to target: FileTree
    ) throws {
        let file = FileNode(.file, mode: 0o644)
        file.content = .inline(Array(text.utf8))
        file.size = Int64(text.utf8.count)
        let source = FileTree()
        let names = FileTree.names(name.utf8)
        try source.makeFolders(Array(names.dropLast()), CopyRules())
        guard let last = names.last, let folder = try source.node(at: Array(names.dropLast())) else { return }
        try folder.set(last, file)
        var rules = rules
        (rules.followsLinks, rules.copiesContent) = (false, false)
        try FileCopier(from: source, to: target, rules).copy(names, to: copy.destination)
    }

    private func copyGit(_ git: GitSource, _ copy: CopyAction, _ rules: CopyRules, to target: FileTree) throws {
        let (fetcher, commit) = try commit(of: git, copy)
        let source = try fetcher.fetch(git, commit: commit, keepsGitDirectory: copy.keepsGitDirectory).tree()
        var rules = rules
        (rules.followsLinks, rules.copiesContent) = (false, false)
        try FileCopier(from: source, to: target, rules).copy([], to: copy.destination)
    }

    /// The commit that ADD takes; a checksum must be the beginning of it.
    private func commit(of git: GitSource, _ copy: CopyAction) throws -> (any GitFetching, String) {
        guard let fetcher = builder.sources.git else { throw BuildError("this build fetches no repositories") }
        let commit = try fetcher.commit(of: git)
        if let wanted = copy.checksum, !commit.hasPrefix(wanted) {
            throw BuildError("\(git.remote) has the commit \(commit), and --checksum wants \(wanted)")
        }
        return (fetcher, commit)
    }

    /// Lays the touched files of a tree over another.
    private func overlay(_ upper: FileTree, on tree: FileTree) throws {
        try upper.forEachTouched { path, node in
            let names = FileTree.names(path)
            guard let name = names.last else { return }
            try tree.makeFolders(Array(names.dropLast()), CopyRules())
            try tree.markDirty(Array(names.dropLast()))
            guard let parent = try tree.node(at: Array(names.dropLast())) else { return }
            if node.isDirectory {
                let folder = FileNode(node.entry(at: path))
                folder.isTouched = true
                if let existing = try parent.child(name), existing.isDirectory {
                    for (child, below) in try existing.sortedChildren() { try folder.set(child, below) }
                }
                folder.isDirty = true
                try parent.set(name, folder)
            } else {
                try parent.set(name, node)
            }
        }
    }

    /// What a source's path means: the pattern to look for, and with `--parents` what is copied below it.
    ///
    /// Without wildcards, `--parents` needs the path to exist.
    private static func parts(
        _ path: String,
        keepsParents: Bool
    ) -> (pattern: [FileTree.Name], include: IgnoreFile?, required: [FileTree.Name]?) {
        let cleaned = { (path: String) -> [FileTree.Name] in
            var names: [FileTree.Name] = []
            for name in FileTree.names(path.utf8) {
                if name == Array("..".utf8) { _ = names.popLast() } else { names.append(name) }
            }
            return names
        }
        guard keepsParents else { return (cleaned(path), nil, nil) }
        var (base, below) = ("", path)
        if let pivot = path.firstRange(of: "/./") {
            (base, below) = (String(path[..<pivot.lowerBound]), String(path[pivot.upperBound...]))
        }
        let names = cleaned(below)
        // The root itself is no path below anything.
        if cleaned(base).isEmpty, names.isEmpty { return ([], nil, [Array("/".utf8)]) }
        let include = IgnoreFile.parse(SourceText(FileTree.text(names) + "\n", name: "--parents")).file
        let isWild = (cleaned(base) + names).contains { Wildcard.isWild($0) }
        return (cleaned(base), include, isWild ? nil : cleaned(base) + names)
    }

    // MARK: Rules

    /// The rules of a copy; owners by name are looked up in a tree.
    private func rules(_ copy: CopyAction, _ tree: FileTree?) throws -> CopyRules {
        var rules = CopyRules()
        rules.mode = copy.mode
        if let text = copy.owner, let tree { rules.owner = try owner(text, tree) }
        if !copy.excludes.isEmpty {
            let text = copy.excludes.joined(separator: "\n") + "\n"
            rules.exclude = IgnoreFile.parse(SourceText(text, name: "--exclude")).file
        }
        return rules
    }

    private func owner(_ text: String, _ tree: FileTree) throws -> Owner {
        try Owner(text) { path in
            guard let node = try tree.node(at: tree.resolve(FileTree.names(path.utf8))) else { return nil }
            return try builder.content.read(node)
        } unknown: { name in
            builder.warn(step, "\"\(name)\" is no user or group of the image; root is taken instead")
        }
    }
}

extension CopyRules {
    init(owner: Owner?) {
        self.init()
        self.owner = owner
    }
}
