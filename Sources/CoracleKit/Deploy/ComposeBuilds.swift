// SPDX-License-Identifier: Apache-2.0
internal import Azure
internal import Deploy
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Registry
internal import Store

/// Builds the images of a project, each build that several services share once; stages that builds share are steps that
/// the store has.
struct ComposeBuilds {
    let deploy: DeployImage
    let services: [ComposeService]
    /// Where what is built goes: a host.
    let registry: String
    /// What images are called there that have no name: the beginning.
    let prefix: String
    let watcher: DeployImage.Watcher

    /// What came of a service's build.
    struct Built {
        /// Its name.
        let name: ImageReference
        /// It, by its digest.
        let reference: ImageReference
        /// What is known of it, where it was not pushed.
        var facts: ImageFacts?
    }

    /// The name that the image of a service has: that of `image:`, in the registry where it names none.
    func name(_ service: ComposeService) throws(ExitReason) -> ImageReference {
        guard let image = service.image else {
            return try ImageLocator.reference("\(registry)/\(prefix)-\(service.name):latest")
        }
        let first = image.prefix { $0 != "/" }
        let hasHost =
            image.contains("/") && (first.contains(".") || first.contains(":") || first == "localhost")
        let named = try ImageLocator.reference(hasHost ? image : "\(registry)/\(image)")
        guard named.digest == nil else {
            throw ExitReason(.usage, "services.\(service.name): what is built has no digest yet: image \(image)")
        }
        return named.tag == nil ? try ImageLocator.reference("\(named.domain)/\(named.repository):latest") : named
    }

    /// A wish with the names of images that are not built yet.
    func naming(_ wish: GroupWish, _ services: [ComposeService]) throws(ExitReason) -> GroupWish {
        var wish = wish
        for (index, service) in services.enumerated() where service.build != nil {
            let image = try name(service).description
            if wish.containers.indices.contains(index) {
                wish.containers[index].image = image
            } else {
                wish.initContainers[index - wish.containers.count].image = image
            }
        }
        return wish
    }

    /// Builds all that is to be built; by service.
    func run(pushes: Bool) async throws -> [String: Built] {
        var results: [String: Built] = [:]
        var done: [ComposeBuild: Built] = [:]
        for service in try inOrder() {
            guard let build = service.build else { continue }
            if let known = done[build], try isSameHome(known, service) {
                watcher.line("\(service.name) is the same build: \(known.reference.familiar)")
                results[service.name] = known
                continue
            }
            let built = try await self.build(service, build, pushes: pushes)
            (results[service.name], done[build]) = (built, built)
        }
        return results
    }

    /// A service that has a name for its image in another registry needs a push of its own.
    private func isSameHome(_ built: Built, _ service: ComposeService) throws -> Bool {
        try service.image == nil || name(service).domain == built.reference.domain
    }

    /// Those whose images others are built on first.
    private func inOrder() throws(ExitReason) -> [ComposeService] {
        var result: [ComposeService] = []
        var above: [String] = []
        func visit(_ service: ComposeService) throws(ExitReason) {
            guard !result.contains(where: { $0.name == service.name }) else { return }
            guard !above.contains(service.name) else {
                throw ExitReason(
                    .usage,
                    "builds go in a circle: \((above + [service.name]).joined(separator: " -> "))"
                )
            }
            above.append(service.name)
            for context in service.build?.contexts ?? [] {
                guard let name = PlanSettings.split(context).1?.suffix(after: "service:") else { continue }
                guard let other = services.first(where: { $0.name == name && $0.build != nil }) else {
                    throw ExitReason(
                        .usage,
                        "services.\(service.name).build.additional_contexts: no service \(name) is built"
                            + Near.phrase(for: name, among: services.map(\.name))
                    )
                }
                try visit(other)
            }
            above.removeLast()
            result.append(service)
        }
        for service in services { try visit(service) }
        return result
    }

    private func build(_ service: ComposeService, _ settings: ComposeBuild, pushes: Bool) async throws -> Built {
        let name = try name(service)
        let scratch = settings.inline == nil ? nil : try InlineFile(settings.inline ?? "")
        defer { withExtendedLifetime(scratch) {} }
        var build = Build(input(service, settings, scratch), store: deploy.workspace.path)
        build.platforms = settings.platforms.isEmpty ? [deploy.options.platform ?? "linux/amd64"] : settings.platforms
        // The form that every target reads.
        build.compression = "gzip"
        // Flags hold for every build, over what the file says.
        build.settings.target = settings.target
        build.settings.buildArguments = settings.arguments + deploy.options.buildArguments
        build.settings.buildContexts = try settings.contexts.map { try context($0) } + deploy.options.buildContexts
        (build.labels, build.ignoresCache) = (settings.labels, settings.ignoresCache)
        build.tags = [name.description] + (pushes ? settings.tags : [])
        build.run = deploy.run
        (build.run.secrets, build.run.agents) = (settings.secrets, settings.agents)
        (build.run.hosts, build.run.allowed) = (settings.hosts, settings.allowed)
        (build.run.sharedMemory, build.run.limits) = (settings.sharedMemory, settings.limits)
        build.run.network = settings.network ?? "default"
        build.registries.access = try deploy.access.bound(to: [name.domain])
        (build.registries.cachesFrom, build.registries.cachesTo) = (settings.cachesFrom, settings.cachesTo)
        build.registries.pulls = settings.pulls
        (build.registries.pushes, build.registries.progress) = (pushes, watcher.transfer)
        watcher.line("building \(service.name)")
        switch try await build.run(environment: deploy.environment, events: watcher.build) {
        case .failed(let text, let code):
            watcher.line(text)
            throw ExitReason(code, "")
        case .built(let report):
            watcher.line("built \(name.familiar) (\(report.digest))")
            if pushes {
                return Built(
                    name: name,
                    reference: try ImageLocator.reference("\(name.domain)/\(name.repository)@\(report.digest)")
                )
            }
            return try await looked(name)
        }
    }

    /// What is known of an image that is in the store only.
    private func looked(_ name: ImageReference) async throws -> Built {
        let registries = try Registries(deploy.access.anonymous, environment: deploy.environment) { _ in }
        let image = try await ImageOpener(workspace: deploy.workspace, registries: registries)
            .open(.store(name.familiar))
        let facts = try await Self.facts(image, name, image.blobs)
        return Built(name: name, reference: facts.reference, facts: facts)
    }

    private static func facts(
        _ image: OpenedImage,
        _ name: ImageReference,
        _ blobs: some BlobSource
    ) async throws -> ImageFacts {
        try await ImageFacts.read(image.root, called: name, from: blobs, image.document)
    }

    private func input(_ service: ComposeService, _ settings: ComposeBuild, _ scratch: InlineFile?) -> DockerfileInput {
        let isHere = !settings.context.contains("://") && !settings.context.hasPrefix("git@")
        var file = settings.dockerfile
        // As Compose has it, and docker build has not: from the context, whatever is in the current folder.
        if isHere, let named = file, !named.hasPrefix("/") { file = DockerfileInput.join(settings.context, named) }
        var input = DockerfileInput(file: scratch?.path ?? file, path: settings.context)
        if scratch != nil { input.shownName = "services.\(service.name).build.dockerfile_inline" }
        return input
    }

    /// A context that is an image of another service is that image in the store.
    private func context(_ text: String) throws(ExitReason) -> String {
        let (key, value) = PlanSettings.split(text)
        guard let other = value?.suffix(after: "service:"), let service = services.first(where: { $0.name == other })
        else { return text }
        return "\(key)=docker-image://\(try name(service).familiar)"
    }
}

/// The Dockerfile that a compose file holds, on disk while it is built.
private final class InlineFile {
    let path: String

    init(_ text: String) throws(ExitReason) {
        let folder = ProcessFolder.temporary
        var name = Array("\(folder)/coracle-inline-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard descriptor >= 0 else {
            throw ExitReason(.step, "\(folder): no file can be made: \(String(cString: strerror(errno)).lowercased())")
        }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                throw ExitReason(.step, "\(path): cannot be written: \(String(cString: strerror(errno)).lowercased())")
            }
            rest = rest.dropFirst(count)
        }
    }

    deinit { unlink(path) }
}

/// Where files are for a moment.
private enum ProcessFolder {
    static var temporary: String {
        guard let named = getenv("TMPDIR"), case let path = String(cString: named), !path.isEmpty else { return "/tmp" }
        return path
    }
}
