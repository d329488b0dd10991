// SPDX-License-Identifier: Apache-2.0
internal import CArchive
internal import Glibc
public import OCI

/// Reads archives of the kinds that libarchive knows, but for mtree, compressed or not, one entry after the other.
///
/// Times of kinds that have no zone in them (zip, cab, lha, rar) are taken in the process's zone, `TZ`.
public final class ArchiveReader {
    private let archive: OpaquePointer
    private let name: String
    private let locale: locale_t?
    private let source: StreamSource?

    /// Opens an archive.
    ///
    /// - Parameters:
    ///   - descriptor: An open file, read from where it stands; stays open.
    ///   - name: Its name for messages.
    ///   - tarOnly: Whether other kinds than tar (zip, cpio…), and compressions other than gzip, bzip2, xz and zstd, are
    ///     refused.
    /// - Throws: ``ArchiveError`` where it is no archive.
    public init(descriptor: Int32, name: String, tarOnly: Bool) throws(ArchiveError) {
        (self.name, source) = (name, nil)
        // Null only where memory is exhausted.
        archive = archive_read_new()
        // Names in pax headers are UTF-8, and libarchive hands them out in the thread's locale.
        locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nil)
        ArchiveReader.support(archive, tarOnly: tarOnly)
        let status = archive_read_open_fd(archive, descriptor, 256 << 10)
        guard status == ARCHIVE_OK else { throw fault("opening") }
        // Compressed once is an archive; compressed twice is a file that happens to hold one. The last filter is none.
        guard archive_filter_count(archive) <= 2 else {
            throw ArchiveError("the archive \(name) is compressed more than once")
        }
    }

    /// The digest of what a compressed file holds: of a layer, its diff ID.
    ///
    /// - Parameters:
    ///   - descriptor: An open file, read from where it stands; stays open.
    ///   - name: Its name for messages.
    /// - Returns: The digest of the bytes before compression.
    /// - Throws: ``ArchiveError`` where it is damaged.
    public static func contentDigest(descriptor: Int32, name: String) throws(ArchiveError) -> Digest {
        let hash = ContentHash()
        try decompress(descriptor: descriptor, name: name, to: hash)
        return Digest(sha256: hash.finish())
    }

    /// Copies what a compressed file holds.
    static func decompress(descriptor: Int32, name: String, to sink: any ByteSink) throws(ArchiveError) {
        let reader = try ArchiveReader(raw: descriptor, name: name)
        var entry: OpaquePointer?
        let status = archive_read_next_header(reader.archive, &entry)
        if status == ARCHIVE_EOF { return }
        guard status == ARCHIVE_OK else { throw reader.fault("reading") }
        try reader.copyContent(to: sink, limit: .max)
    }

    /// Opens a layer that is decompressed elsewhere.
    ///
    /// - Parameters:
    ///   - stream: The tar archive.
    ///   - name: Its name for messages.
    /// - Throws: ``ArchiveError`` where it is no tar archive.
    public init(_ stream: LayerStream, name: String) throws(ArchiveError) {
        let source = StreamSource(stream)
        (self.name, self.source) = (name, source)
        archive = archive_read_new()
        locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nil)
        archive_read_support_format_empty(archive)
        archive_read_support_format_tar(archive)
        let status = archive_read_open(
            archive,
            // SAFETY: the source lives as long as this reader, which frees the archive first.
            Unmanaged.passUnretained(source).toOpaque(),
            nil,
            { _, context, bytes in
                guard let context else { return -1 }
                return Unmanaged<StreamSource>.fromOpaque(context).takeUnretainedValue().next(bytes)
            },
            nil
        )
        guard status == ARCHIVE_OK else { throw fault("opening") }
    }

    /// Reads a file as one piece, whatever is in it.
    private init(raw descriptor: Int32, name: String) throws(ArchiveError) {
        (self.name, source) = (name, nil)
        archive = archive_read_new()
        locale = nil
        ArchiveReader.supportFilters(archive)
        archive_read_support_format_raw(archive)
        archive_read_support_format_empty(archive)
        guard archive_read_open_fd(archive, descriptor, 256 << 10) == ARCHIVE_OK else { throw fault("opening") }
    }

    /// The compressions that images and archives of ADD come in; none for which libarchive would start a program.
    private static func supportFilters(_ archive: OpaquePointer, rare: Bool = false) {
        var filters = [
            archive_read_support_filter_gzip, archive_read_support_filter_bzip2, archive_read_support_filter_xz,
            archive_read_support_filter_zstd,
        ]
        if rare {
            filters += [
                archive_read_support_filter_compress, archive_read_support_filter_lzip,
                archive_read_support_filter_lzma,
            ]
            if archive_liblz4_version() != nil { filters.append(archive_read_support_filter_lz4) }
        }
        for filter in filters { _ = filter(archive) }
    }

    /// Says what is understood.
    ///
    /// Left out is mtree, a list of files elsewhere.
    private static func support(_ archive: OpaquePointer, tarOnly: Bool) {
        supportFilters(archive, rare: !tarOnly)
        // No bytes at all are an archive without entries, as they are for tar.
        var formats = [archive_read_support_format_empty, archive_read_support_format_tar]
        if !tarOnly {
            formats += [
                archive_read_support_format_zip, archive_read_support_format_cpio, archive_read_support_format_ar,
                archive_read_support_format_7zip, archive_read_support_format_rar, archive_read_support_format_rar5,
                archive_read_support_format_iso9660, archive_read_support_format_xar,
                archive_read_support_format_cab, archive_read_support_format_lha, archive_read_support_format_warc,
            ]
        }
        for format in formats { _ = format(archive) }
    }

    deinit {
        archive_read_free(archive)
        if let locale { freelocale(locale) }
    }

    private func fault(_ what: String) -> ArchiveError {
        if let failure = source?.failure { return failure }
        let reason = archive_error_string(archive).map { String(cString: $0) } ?? "it is damaged"
        return ArchiveError("\(what) the archive \(name): \(reason)")
    }

    /// The next entry; `nil` at the end.
    ///
    /// - Returns: The entry; its path is as it was written, so that `..` and a leading slash are the caller's matter.
    /// - Throws: ``ArchiveError`` where the archive is damaged.
    public func next() throws(ArchiveError) -> TarEntry? {
        let before = locale.map { uselocale($0) }
        defer { if let before { uselocale(before) } }
        var entry: OpaquePointer?
        let status = archive_read_next_header(archive, &entry)
        if status == ARCHIVE_EOF { return nil }
        // A warning is about a name that is no text, which is kept as it is, or about fields that nobody needs.
        guard status == ARCHIVE_OK || status == ARCHIVE_WARN, let entry else { throw fault("reading") }
        return try convert(entry)
    }

    private func convert(_ entry: OpaquePointer) throws(ArchiveError) -> TarEntry {
        guard let path = archive_entry_pathname(entry) else { throw fault("reading a name in") }
        var result = TarEntry(path: bytes(path), kind: .file)
        if let link = archive_entry_hardlink(entry) {
            (result.kind, result.target) = (.hardLink, bytes(link))
            // The last name of a file is the one with its content in a cpio archive.
            if archive_format(archive) & ARCHIVE_FORMAT_BASE_MASK == ARCHIVE_FORMAT_CPIO {
                result.size = archive_entry_size(entry)
            }
        } else {
            switch archive_entry_filetype(entry) & S_IFMT {
            // The kind "ar" says no kind of entry: all are files.
            case S_IFREG, 0: result.size = archive_entry_size(entry)
            case S_IFDIR: result.kind = .directory
            case S_IFLNK:
                result.kind = .symlink
                result.target = archive_entry_symlink(entry).map { bytes($0) } ?? []
            case S_IFCHR: result.kind = .characterDevice
            case S_IFBLK: result.kind = .blockDevice
            case S_IFIFO: result.kind = .fifo
            default: throw ArchiveError("\(name): \(result.name) is of a kind that no layer holds")
            }
        }
        result.mode = archive_entry_perm(entry)
        result.uid = UInt32(truncatingIfNeeded: archive_entry_uid(entry))
        result.gid = UInt32(truncatingIfNeeded: archive_entry_gid(entry))
        result.mtime = Int64(archive_entry_mtime(entry))
        result.major = UInt32(truncatingIfNeeded: archive_entry_rdevmajor(entry))
        result.minor = UInt32(truncatingIfNeeded: archive_entry_rdevminor(entry))
        result.attributes = attributes(entry)
        return result
    }

    private func attributes(_ entry: OpaquePointer) -> [TarEntry.Attribute] {
        guard archive_entry_xattr_reset(entry) > 0 else { return [] }
        var found: [TarEntry.Attribute] = []
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var size = 0
        while archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK {
            guard let name else { continue }
            let content = UnsafeRawBufferPointer(start: value, count: size)
            found.append(TarEntry.Attribute(name: bytes(name), value: Array(content)))
        }
        return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    private func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }

    /// Copies the content of the entry read last.
    ///
    /// - Parameters:
    ///   - sink: Takes the bytes.
    ///   - limit: The most bytes that may come; more are a fault.
    /// - Returns: How many came.
    /// - Throws: ``ArchiveError`` where the archive is damaged or holds too much.
    @discardableResult
    public func copyContent(to sink: any ByteSink, limit: Int64) throws(ArchiveError) -> Int64 {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
        defer { buffer.deallocate() }
        var total: Int64 = 0
        while true {
            let count = archive_read_data(archive, buffer.baseAddress, buffer.count)
            if count == 0 { return total }
            guard count > 0 else { throw fault("reading") }
            total += Int64(count)
            guard total <= limit else {
                throw ArchiveError("the archive \(name) unpacks to more than \(limit) bytes, the limit")
            }
            try sink.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }

    /// Goes through the content of the entry read last, holes left out.
    ///
    /// - Parameter body: Is given bytes that are valid during the call, and where in the file they are.
    /// - Throws: ``ArchiveError`` where the archive is damaged; what `body` throws.
    public func forEachBlock(_ body: (UnsafeRawBufferPointer, Int64) throws -> Void) throws {
        while true {
            var (bytes, size, offset) = (UnsafeRawPointer?.none, 0, Int64(0))
            let status = archive_read_data_block(archive, &bytes, &size, &offset)
            if status == ARCHIVE_EOF { return }
            guard status == ARCHIVE_OK || status == ARCHIVE_WARN else { throw fault("reading") }
            if size > 0 { try body(UnsafeRawBufferPointer(start: bytes, count: size), offset) }
        }
    }
}

/// What libarchive reads a stream through.
private final class StreamSource {
    private let stream: LayerStream
    private(set) var failure: ArchiveError?

    init(_ stream: LayerStream) {
        self.stream = stream
    }

    func next(_ bytes: UnsafeMutablePointer<UnsafeRawPointer?>?) -> Int {
        do throws(ArchiveError) {
            let block = try stream.next()
            bytes?.pointee = block.baseAddress
            return block.count
        } catch {
            failure = error
            return -1
        }
    }
}

/// Hashes what is written to it, and keeps nothing.
private final class ContentHash: ByteSink {
    private var hash = SHA256()

    func write(_ bytes: UnsafeRawBufferPointer) { hash.update(bytes) }

    func finish() -> [UInt8] { hash.finish() }
}
