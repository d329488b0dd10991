// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import Store

/// `coracle logs`: what a detached container wrote.
public struct ShowLogs: Sendable {
    /// `-f`: go on until the container has ended.
    public var follows = false
    /// `--tail`: only so many lines from the end.
    public var tail: Int?
    /// `--timestamps`: when each line was written, before it.
    public var hasTimes = false
    private let workspace: Workspace

    /// Which stream something was written to.
    public enum Stream: Sendable {
        /// Standard output.
        case output
        /// Standard error.
        case errors
    }

    /// Reads logs of a store.
    ///
    /// - Parameter workspace: Where the store is.
    public init(_ workspace: Workspace) {
        self.workspace = workspace
    }

    /// Reads a log.
    ///
    /// - Parameters:
    ///   - name: A name, or a number or the beginning of it.
    ///   - write: Takes what was written, byte for byte and in order, on the calling thread; returns whether it wants
    ///     more.
    /// - Throws: ``ExitReason`` where there is no such container, or it has no log.
    public func run(_ name: String, write: (Stream, [UInt8]) -> Bool) throws(ExitReason) {
        if let tail, tail < 0 { throw ExitReason(.usage, "--tail \(tail) is not a number of lines") }
        let found = try ContainerFolder.find(name, in: try workspace.storeIfAny())
        guard found.config.isDetached else {
            throw ExitReason(.usage, "\(found.config.name) has no log: it writes to where it was started")
        }
        let file = open(found.folder.logPath, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT, found.status != .running { return }
            throw ExitReason(.step, "opening \(found.folder.logPath): \(String(cString: strerror(errno)))")
        }
        defer { close(file) }
        var reader = LogReader(file: file, hasTimes: hasTimes)
        if let tail { reader.skip(to: tail) }
        while true {
            // Asked before reading: what is written after the last read belongs to a container that still ran.
            let isOver = !follows || !FileLock.isHeld(found.folder.lockPath)
            while let piece = reader.next() {
                if !write(piece.stream, piece.bytes) { return }
            }
            if isOver { return }
            usleep(50_000)
        }
    }
}

/// Reads a ``ContainerLog`` from its file, as far as it is written.
struct LogReader {
    private let file: Int32
    private let hasTimes: Bool
    private var buffer: [UInt8] = []
    /// What of the buffer was taken.
    private var place = 0
    private var offset: off_t = 0
    /// Whether the next piece of a stream begins a line.
    private var begins = [true, true]

    init(file: Int32, hasTimes: Bool) { (self.file, self.hasTimes) = (file, hasTimes) }

    /// The next thing that was written; `nil` where there is nothing more for now.
    mutating func next() -> (stream: ShowLogs.Stream, bytes: [UInt8])? {
        guard let record = record() else { return nil }
        // TIME, STREAM and TAG, then everything else.
        let fields = record.split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
        guard fields.count == 4 else { return (.errors, Array(record) + [0x0A]) }
        let isOutput = fields[1].elementsEqual("stdout".utf8)
        let isWhole = fields[2].elementsEqual("F".utf8)
        let number = isOutput ? 0 : 1
        let time = hasTimes && begins[number] ? Array(fields[0]) + [0x20] : []
        begins[number] = isWhole
        return (isOutput ? .output : .errors, time + fields[3] + (isWhole ? [0x0A] : []))
    }

    /// Goes on to the last lines.
    mutating func skip(to count: Int) {
        // Where lines begin, the last ones in a circle.
        var starts: [off_t] = []
        var (total, start) = (0, off_t(0))
        var isOpen = false
        while let record = record() {
            if !isOpen {
                if starts.count < count { starts.append(start) } else if count > 0 { starts[total % count] = start }
                total += 1
            }
            let fields = record.prefix(64).split(separator: 0x20, maxSplits: 3, omittingEmptySubsequences: false)
            isOpen = fields.count > 2 && fields[2].elementsEqual("P".utf8)
            start = offset - off_t(buffer.count - place)
        }
        if count > 0 { offset = starts.count < count ? 0 : starts[total % count] } else { offset = start }
        (buffer, place) = ([], 0)
    }

    /// A line of the file without its end; `nil` where none is whole.
    private mutating func record() -> ArraySlice<UInt8>? {
        var searched = place
        while true {
            if let end = buffer[searched...].firstIndex(of: 0x0A) {
                defer { place = end + 1 }
                return buffer[place..<end]
            }
            buffer.removeFirst(place)
            place = 0
            searched = buffer.count
            let size = 64 << 10
            buffer.append(contentsOf: repeatElement(0, count: size))
            let count = buffer.withUnsafeMutableBytes {
                pread(file, $0.baseAddress?.advanced(by: searched), size, offset)
            }
            buffer.removeLast(size - max(0, count))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return nil }
            offset += off_t(count)
        }
    }
}
