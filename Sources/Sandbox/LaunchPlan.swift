// SPDX-License-Identifier: Apache-2.0
internal import CLinux
internal import Glibc

/// The steps of a child on its way to its program, in memory that stays until the plan goes.
///
/// A class, for the memory that its pointers lead to is freed once.
final class LaunchPlan {
    private var owned: [UnsafeMutableRawPointer] = []
    private(set) var steps: [clinux_step] = []
    /// What each step does, for error messages.
    private(set) var words: [String] = []
    private(set) var slotCount: Int32 = 0
    /// The steps that may make mount points, with the records they fill.
    private(set) var made: [UnsafeMutablePointer<clinux_made>] = []

    deinit { for pointer in owned { free(pointer) } }

    /// A copy of a text that C can read.
    func text(_ text: String) -> UnsafePointer<CChar>? {
        let copy = strdup(text)
        if let copy { owned.append(UnsafeMutableRawPointer(copy)) }
        return UnsafePointer(copy)
    }

    /// A list of texts that ends with a null pointer.
    func list(_ texts: [String]) -> UnsafeMutablePointer<UnsafePointer<CChar>?> {
        array(texts.map { text($0) } + [nil])
    }

    /// The same, as calls want it that take an argument vector.
    func mutableList(_ texts: [String]) -> UnsafePointer<UnsafeMutablePointer<CChar>?> {
        UnsafeRawPointer(list(texts)).assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self)
    }

    /// A copy of some values.
    func array<Value: BitwiseCopyable>(_ values: [Value]) -> UnsafeMutablePointer<Value> {
        let copy = UnsafeMutablePointer<Value>.allocate(capacity: max(1, values.count))
        copy.initialize(from: values, count: values.count)
        // `free` is what `allocate` pairs with on this platform, for alignments up to 16.
        owned.append(UnsafeMutableRawPointer(copy))
        return copy
    }

    /// A number for a mount that hangs nowhere yet.
    func slot() -> Int32 {
        slotCount += 1
        return slotCount - 1
    }

    /// Adds a step.
    func add(
        _ kind: clinux_kind,
        _ words: String,
        flags: UInt32 = 0,
        configure: (inout clinux_step) -> Void = { _ in }
    ) {
        var step = clinux_step()
        step.kind = Int32(kind.rawValue)
        step.flags = flags
        step.slot = -1
        configure(&step)
        steps.append(step)
        self.words.append(words)
    }

    /// Zeroed memory for the child to write into.
    func room<Value>(for type: Value.Type, count: Int) -> UnsafeMutablePointer<Value> {
        let size = MemoryLayout<Value>.stride * count
        let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        owned.append(memory)
        return memory.bindMemory(to: Value.self, capacity: count)
    }

    /// Has a step write down the mount point it makes.
    func record(_ step: inout clinux_step) {
        let record = room(for: clinux_made.self, count: 1)
        record.pointee.top = room(for: CChar.self, count: Int(CLINUX_PATH))
        record.pointee.leaf = room(for: CChar.self, count: Int(CLINUX_PATH))
        made.append(record)
        step.made = record
    }

    /// The mount points that were made, once the child has run its steps.
    func stubs() -> [Stub] {
        made.compactMap { record in
            guard let top = record.pointee.top, let leaf = record.pointee.leaf, top[0] != 0 else { return nil }
            return Stub(
                top: String(cString: top),
                leaf: String(cString: leaf),
                before: record.pointee.before,
                after: record.pointee.after
            )
        }
    }
}
