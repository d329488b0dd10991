// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import BuildPlan
internal import Builder
internal import Glibc
internal import HTTP
internal import OCI
internal import Registry
internal import Store

/// Files from URLs: sources of ADD, and build contexts.
///
/// What was downloaded is kept in the store, and asked for again by its ETag or date, so that it is sent only where it
/// changed; with a checksum nobody is asked at all.
struct Downloads: Sendable {
    let store: ImageStore
    let session: HTTPSession

    /// What is remembered of a URL.
    private struct Record {
        let blob: Descriptor
        let mtime: Int64
        let tag: String?
        let date: String?

        init(_ blob: Descriptor, _ response: HTTPResponse) {
            (self.blob, mtime) = (blob, response.lastModified ?? 0)
            (tag, date) = (response.headers["ETag"], response.headers["Last-Modified"])
        }

        init?(_ json: JSONValue) {
            guard let blob = json["blob"].flatMap({ try? Descriptor(json: $0) }), let mtime = json["mtime"]?.int else {
                return nil
            }
            (self.blob, self.mtime, tag, date) = (blob, mtime, json["etag"]?.string, json["date"]?.string)
        }

        var json: JSONValue {
            var members: [String: JSONValue] = ["blob": blob.json, "mtime": .int(mtime)]
            members["etag"] = tag.map { .string($0) }
            members["date"] = date.map { .string($0) }
            return .object(members)
        }
    }

    /// Downloads what the steps of a plan need, several files at once.
    func fetch(_ plan: Plan) async throws -> [String: DownloadedFile] {
        var wanted: [String: Step] = [:]
        for step in plan.steps where step.stage.map({ plan.stages[$0].isNeeded }) ?? true {
            guard case .copy(let copy) = step.action else { continue }
            for case .url(let url) in copy.sources where wanted[url] == nil { wanted[url] = step }
        }
        let found = try await withThrowingTaskGroup(of: (String, DownloadedFile).self) { group in
            var open = wanted.sorted { $0.key < $1.key }[...]
            func start() {
                guard let (url, step) = open.popFirst() else { return }
                group.addTask { (url, try await fetch(url, for: step)) }
            }
            for _ in 0..<4 { start() }
            var found: [String: DownloadedFile] = [:]
            while let (url, file) = try await group.next() {
                found[url] = file
                start()
            }
            return found
        }
        // One URL may have been asked for with two checksums.
        for step in plan.steps {
            guard case .copy(let copy) = step.action, let wanted = copy.checksum else { continue }
            for case .url(let url) in copy.sources {
                guard let file = found[url], file.blob.digest.description != wanted else { continue }
                throw BuildError(
                    "ADD \(Downloads.shown(url)): it has the digest \(file.blob.digest), and --checksum wants \(wanted)",
                    at: step.range
                )
            }
        }
        return found
    }

    private func fetch(_ url: String, for step: Step) async throws -> DownloadedFile {
        var checksum: Digest?
        if case .copy(let copy) = step.action { checksum = copy.checksum.flatMap { try? Digest($0) } }
        do {
            return try await fetch(url, checksum: checksum)
        } catch let error as ServerError {
            let reason = ExitReason.of(error) as? ExitReason ?? ExitReason(.registry, error.message, hint: error.hint)
            throw BuildError(reason, doing: "ADD \(Downloads.shown(url)): ", at: step.range)
        } catch let error as ExitReason {
            throw BuildError(error, doing: "ADD ", at: step.range)
        }
    }

    /// Downloads a file, unless the one that is here is still the same.
    func fetch(_ url: String, checksum: Digest? = nil) async throws -> DownloadedFile {
        let known = record(url)
        if let known, let checksum, known.blob.digest == checksum { return file(known) }
        var request = HTTPRequest(.get, try HTTPURL(url))
        // No redirect to another host takes it along.
        if let login = RemoteLogin.split(url).login {
            request.headers["Authorization"] = RegistryClient.basic(login.user, login.password ?? "")
        }
        if let known {
            if let tag = known.tag { request.headers["If-None-Match"] = tag }
            if let date = known.date { request.headers["If-Modified-Since"] = date }
        }
        let response = try await session.send(request)
        if response.status == 304, let known {
            await response.discard()
            return file(known)
        }
        guard response.status == 200 else {
            await response.discard()
            throw Downloads.refusal(response.status, url)
        }
        let record = Record(try await keep(response, url), response)
        try DiskFile.write(Array(record.json.canonical.utf8), to: place(url), isSynced: false)
        return file(record)
    }

    /// Writes what comes into the store.
    private func keep(_ response: HTTPResponse, _ url: String) async throws -> Descriptor {
        let ingest = try store.ingest()
        var hash = SHA256()
        var size: Int64 = 0
        for try await chunk in response.body {
            hash.update(chunk)
            size += Int64(chunk.count)
            var rest = chunk[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { write(ingest.descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw StoreError("writing \(ingest.path)", errno: errno) }
                rest = rest.dropFirst(count)
            }
        }
        if let told = response.headers["Content-Length"].flatMap({ Int64($0) }), told != size {
            throw ExitReason(.registry, "\(Downloads.shown(url)): \(size) of \(told) bytes came")
        }
        let blob = Descriptor(
            mediaType: MediaType("application/octet-stream"),
            digest: Digest(sha256: hash.finish()),
            size: size
        )
        if !store.has(blob) { try ingest.commit(blob.digest) }
        return blob
    }

    private func file(_ record: Record) -> DownloadedFile {
        DownloadedFile(path: store.path(of: record.blob.digest), blob: record.blob, mtime: record.mtime)
    }

    /// What is remembered, as long as the file is here.
    private func record(_ url: String) -> Record? {
        guard let bytes = (try? DiskFile.read(place(url), limit: 64 << 10)) ?? nil,
            let record = (try? JSONValue(parsing: bytes)).flatMap({ Record($0) }), store.has(record.blob)
        else { return nil }
        return record
    }

    /// A password is in no name of a file, not even as a digest.
    private func place(_ url: String) -> String {
        "\(store.root)/files/url-\(SHA256.digest(Array(RemoteLogin.split(url).address.utf8)).hex)"
    }

    private static func refusal(_ status: Int, _ url: String) -> ExitReason {
        let isRefused = status == 401 || status == 403
        return ExitReason(
            isRefused ? .credentials : .registry,
            "\(shown(url)): the server answered \(status)",
            hint: isRefused ? "https://USER:PASSWORD@HOST/… is shown to that host only" : nil
        )
    }

    /// An address as it may be shown.
    static func shown(_ url: String) -> String { (try? HTTPURL(url)).map { Redaction.url($0) } ?? Redaction.text(url) }
}
