// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import Builder
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Rootfs
internal import Store

/// The files of contexts given by name: folders as they are, archives and repositories brought to disk when a plan first
/// needs them.
///
/// Protects what was brought here, which stays until the build is over.
actor NamedContexts {
    private let locations: [String: ContextLocation]
    private let place: BuildContext.Place
    private let git: GitFetcher
    private let downloads: Downloads
    private let environment: [String: String]
    private var trees: [String: DiskTree] = [:]
    private var contexts: [BuildContext] = []
    private var scratch: [String] = []

    /// Looks at the locations of this machine; nothing is fetched.
    init(
        _ contexts: [String: String],
        _ place: BuildContext.Place,
        _ git: GitFetcher,
        _ downloads: Downloads,
        environment: [String: String]
    ) throws(ExitReason) {
        (self.place, self.git, self.downloads, self.environment) = (place, git, downloads, environment)
        var locations: [String: ContextLocation] = [:]
        for (name, text) in contexts.sorted(by: { $0.key < $1.key }) {
            let location = try ContextLocation(text, of: name)
            if case .path(let path) = location, !TextFile.isFolder(path), !BuildContext.isArchive(path) {
                let fault = TextFile.isFile(path) ? "is neither a folder nor a tar archive" : "there is no such folder"
                throw ExitReason(.usage, "--build-context \(name): \(path): \(fault)", hint: ContextLocation.forms)
            }
            locations[name] = location
        }
        self.locations = locations
    }

    deinit { for folder in scratch { DiskFile.remove(folder) } }

    /// The files of the contexts that a plan takes some from; images are not among them.
    func trees(of plan: Plan) async throws -> [String: DiskTree] {
        for name in Set(plan.steps.flatMap(\.contexts)).sorted() where trees[name] == nil {
            do {
                trees[name] = try await tree(name)
            } catch {
                guard let reason = ExitReason.of(error) as? ExitReason else { throw error }
                throw ExitReason(reason.code, "--build-context \(name): \(reason.message)", hint: reason.hint)
            }
        }
        return trees
    }

    private func tree(_ name: String) async throws -> DiskTree? {
        switch locations[name] {
        case .layout, .image, .nothing, nil: return nil
        case .path(let path):
            let folder = try TextFile.isFolder(path) ? path : bring(path, nil)
            let ignore = DockerfileInput.join(folder, ".dockerignore")
            let file = try TextFile.read(ignore).map { IgnoreFile.parse(SourceText($0, name: ignore)).file }
            return ContextFolder(path: folder, ignoreFile: file, ignoreName: ignore).tree
        case .remote(let url):
            let download = try await BuildContext.download(url, downloads)
            if let download, !BuildContext.isArchive(download.path) { return try file(download) }
            return DiskTree(ContextFolder(path: try bring(url, download), ignoreFile: nil, ignoreName: "").absolute)
        }
    }

    /// The folder of what the main context could be, too.
    private func bring(_ path: String, _ download: DownloadedFile?) throws -> String {
        let context = try BuildContext(
            DockerfileInput(file: nil, path: path),
            place,
            git,
            download,
            environment: environment
        )
        contexts.append(context)
        guard let folder = context.folder else { throw ExitReason(.usage, "\(path) is no folder") }
        return folder
    }

    private func scratchFolder() throws -> String {
        let folder = try place.store.temporaryFolder()
        scratch.append(folder)
        return ContextFolder(path: folder, ignoreFile: nil, ignoreName: "").absolute
    }

    /// A download that is no archive: the one file of its context, which BuildKit calls so.
    private func file(_ download: DownloadedFile) throws -> DiskTree {
        let folder = try scratchFolder()
        let path = folder + "/context"
        let target = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard target >= 0 else { throw StoreError("writing \(path)", errno: errno) }
        defer { close(target) }
        let source = open(download.path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw StoreError("opening \(download.path)", errno: errno) }
        defer { close(source) }
        try FileSink(descriptor: target, name: path)
            .copy(descriptor: source, size: download.blob.size, name: download.path)
        let time = timespec(tv_sec: Int(download.mtime), tv_nsec: 0)
        guard futimens(target, [time, time]) == 0 else { throw StoreError("writing \(path)", errno: errno) }
        return DiskTree(folder)
    }
}
