// SPDX-License-Identifier: Apache-2.0
internal import BuildPlan
internal import Builder
internal import DockerfileSyntax
internal import Glibc
internal import OCI
internal import Store

/// A build context that was brought to disk: a folder as it is, or what an archive or a repository holds.
final class BuildContext {
    /// The folder; `nil` where the build has a Dockerfile only.
    let folder: String?
    /// Where Dockerfile and ignore file are.
    let input: DockerfileInput
    private let scratch: String?

    /// Where archives are unpacked, and to how many bytes at most.
    struct Place {
        let store: ImageStore
        let limit: Int64
    }

    /// Looks at what a build was given.
    convenience init(
        _ input: DockerfileInput,
        _ place: Place,
        _ git: GitFetcher,
        _ download: DownloadedFile?,
        environment: [String: String]
    ) throws {
        if input.path == "-" {
            try self.init(standardInput: input, place)
        } else if let source = try BuildContext.repository(input.path) {
            let keeps = environment["BUILDKIT_CONTEXT_KEEP_GIT_DIR"] == "1" || source.keepsGitDirectory == true
            let commit = try git.find(source).commit
            if let wanted = source.commit, !commit.hasPrefix(wanted.lowercased()) {
                throw ExitReason(.step, "\(GitFetcher.masked(source.remote)) has the commit \(commit), not \(wanted)")
            }
            let folder = try git.folder(source, commit: commit, keepsGitDirectory: keeps)
            self.init(folder: folder, input, scratch: nil)
        } else if let download {
            try self.init(download: download, input, place)
        } else if !TextFile.isFolder(input.path), BuildContext.isArchive(input.path) {
            let file = open(input.path, O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { throw StoreError("opening \(input.path)", errno: errno) }
            defer { close(file) }
            let folder = try BuildContext.unpack(file, input.path, place)
            self.init(folder: folder, input, scratch: folder)
        } else {
            self.init(TextFile.isFolder(input.path) ? input.path : nil, input, nil)
        }
    }

    private init(_ folder: String?, _ input: DockerfileInput, _ scratch: String?) {
        (self.folder, self.input, self.scratch) = (folder, input, scratch)
    }

    private convenience init(folder: String, _ input: DockerfileInput, scratch: String?) {
        // A Dockerfile named by --file is looked for in the context, unless it is standard input.
        var inner = DockerfileInput(file: input.file, path: folder)
        inner.isForeign = true
        inner.downloaded = input.downloaded
        if let file = input.file, file != "-", input.downloaded == nil {
            inner.file = DockerfileInput.join(folder, file)
        }
        self.init(folder, inner, scratch)
    }

    /// An archive, or a Dockerfile without a context.
    private convenience init(standardInput input: DockerfileInput, _ place: Place) throws {
        let bytes = try TextFile.head(2048)
        guard BuildContext.looksLikeArchive(bytes) else {
            if let file = input.file, file != "-" {
                throw ExitReason(
                    .usage,
                    "standard input is a Dockerfile or empty, and --file \(Downloads.shown(file)) names another"
                )
            }
            let folder = try place.store.temporaryFolder()
            try DiskFile.write(bytes + (try TextFile.read("-") ?? []), to: folder + "/Dockerfile", isSynced: false)
            self.init(dockerfileIn: folder)
            return
        }
        guard input.file != "-" else {
            throw ExitReason(.usage, "Dockerfile and build context cannot both come from standard input")
        }
        let spool = try place.store.ingest()
        var rest = bytes
        while !rest.isEmpty {
            guard write(spool.descriptor, rest, rest.count) == rest.count else {
                throw StoreError("writing \(spool.path)", errno: errno)
            }
            rest = try TextFile.head(1 << 20)
        }
        lseek(spool.descriptor, 0, SEEK_SET)
        let folder = try BuildContext.unpack(spool.descriptor, "standard input", place)
        self.init(folder: folder, input, scratch: folder)
    }

    /// An archive from a URL, or a Dockerfile without a context.
    private convenience init(download: DownloadedFile, _ input: DockerfileInput, _ place: Place) throws {
        let file = open(download.path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw StoreError("opening \(download.path)", errno: errno) }
        defer { close(file) }
        let name = Downloads.shown(input.path)
        if BuildContext.isArchive(download.path) {
            let folder = try BuildContext.unpack(file, name, place)
            self.init(folder: folder, input, scratch: folder)
            return
        }
        guard input.file == nil else {
            throw ExitReason(.usage, "\(name) is no archive, so that --file has nothing to look in")
        }
        guard let bytes = try DiskFile.read(download.path, limit: 64 << 20) else {
            throw StoreError("opening \(download.path)", errno: ENOENT)
        }
        let folder = try place.store.temporaryFolder()
        try DiskFile.write(bytes, to: folder + "/Dockerfile", isSynced: false)
        var inner = DockerfileInput(file: nil, path: folder + "/Dockerfile")
        inner.shownName = name
        self.init(nil, inner, folder)
    }

    /// Dockerfiles from URLs are not longer, as with buildx.
    private static let longestDownload = 2 << 20

    /// Downloads the Dockerfile where `--file` is a URL.
    static func downloadDockerfile(_ input: inout DockerfileInput, _ downloads: Downloads) async throws {
        guard let url = input.file, DockerfileInput.isURL(url) else { return }
        do {
            let file = try await downloads.fetch(url)
            guard file.blob.size <= longestDownload, let bytes = try DiskFile.read(file.path) else {
                throw ExitReason(
                    .usage,
                    "\(Downloads.shown(url)): \(file.blob.size) bytes, and no Dockerfile has 2 MiB"
                )
            }
            input.downloaded = SourceText(bytes, name: Downloads.shown(url))
        } catch {
            throw ExitReason.of(error)
        }
    }

    /// Downloads a context; `nil` for one that is no address of a file.
    static func download(_ path: String, _ downloads: Downloads) async throws -> DownloadedFile? {
        guard path.hasPrefix("http://") || path.hasPrefix("https://"), try repository(path) == nil else { return nil }
        do {
            return try await downloads.fetch(path)
        } catch {
            throw ExitReason.of(error)
        }
    }

    private convenience init(dockerfileIn folder: String) {
        var input = DockerfileInput(file: nil, path: folder + "/Dockerfile")
        input.shownName = "<stdin>"
        self.init(nil, input, folder)
    }

    deinit { if let scratch { DiskFile.remove(scratch) } }

    static func repository(_ path: String) throws(ExitReason) -> GitSource? {
        do {
            let isShort = path.hasPrefix("github.com/")
            return try GitSource(isShort ? "https://\(path.contains(".git") ? path : path + ".git")" : path)
        } catch {
            throw ExitReason(.usage, error.message)
        }
    }

    private static func unpack(_ file: Int32, _ name: String, _ place: Place) throws -> String {
        let folder = try place.store.temporaryFolder()
        do {
            let files = try ImageFiles(archive: file, name: name, in: place.store, limit: place.limit)
            try files.extract(to: folder)
        } catch {
            DiskFile.remove(folder)
            throw error
        }
        return folder
    }

    static func isArchive(_ path: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return false }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = read(file, &bytes, bytes.count)
        return looksLikeArchive(Array(bytes.prefix(max(0, count))))
    }

    /// Whether bytes begin as tar, gzip, bzip2, xz or zstd do.
    static func looksLikeArchive(_ bytes: [UInt8]) -> Bool {
        let marks: [[UInt8]] = [
            [0x1F, 0x8B], Array("BZh".utf8), [0xFD, 0x37, 0x7A, 0x58, 0x5A], [0x28, 0xB5, 0x2F, 0xFD],
        ]
        return marks.contains { bytes.starts(with: $0) } || bytes.dropFirst(257).starts(with: "ustar".utf8)
    }
}

extension TextFile {
    /// What comes next on standard input, at least one byte unless it ended.
    fileprivate static func head(_ most: Int) throws(ExitReason) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: most)
        var count = 0
        while count < most {
            let next = bytes.withUnsafeMutableBytes { Glibc.read(0, $0.baseAddress?.advanced(by: count), most - count) }
            if next < 0, errno == EINTR { continue }
            guard next >= 0 else {
                throw ExitReason(.usage, "reading standard input: \(String(cString: strerror(errno)))")
            }
            if next == 0 { break }
            count += next
        }
        return Array(bytes[..<count])
    }
}
