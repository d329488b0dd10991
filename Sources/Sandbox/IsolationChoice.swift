// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The isolation that this machine allows, found by trying.
public struct IsolationChoice: Sendable {
    /// What the user asks for.
    public enum Wish: Sendable, Hashable {
        /// The best that works: namespaces, then an OCI runtime, then chroot.
        case automatic
        /// This one, or an error.
        case only(Isolation)
        /// The first OCI runtime that works: crun, then runc.
        case anyRuntime

        /// Reads what stands after `--isolation`.
        ///
        /// - Parameter text: `auto`, `namespaces`, `chroot`, `oci`, or `oci=` and a runtime's name or path.
        /// - Throws: ``SandboxError`` where it is none of these.
        public init(_ text: String) throws(SandboxError) {
            switch text {
            case "auto": self = .automatic
            case "namespaces": self = .only(.namespaces)
            case "chroot": self = .only(.chroot)
            case "oci": self = .anyRuntime
            case let text where text.hasPrefix("oci=") && text.count > 4:
                let name = String(text.dropFirst(4))
                self = .only(.oci(runtime: name.contains("/") ? name : Program.path(of: name) ?? name))
            default:
                throw SandboxError(
                    .specification,
                    "there is no isolation \"\(text)\"",
                    hint: "one of auto, namespaces, chroot, oci, oci=runc, oci=crun"
                )
            }
        }
    }

    /// How processes are to be kept apart.
    public let isolation: Isolation
    /// Whether roots can be overlays; else each needs a folder of its own.
    public let mountsOverlays: Bool
    /// Why nothing better was chosen, one sentence for each; empty where the best was.
    public let reasons: [String]

    /// Tries what this machine allows; takes some milliseconds.
    ///
    /// - Parameters:
    ///   - wish: What the user asks for.
    ///   - scratch: A folder on the file system where layers lie; what is made there is removed.
    /// - Returns: What works.
    /// - Throws: ``SandboxError`` where nothing does, or not what was asked for.
    public static func probe(_ wish: Wish = .automatic, scratch: String) throws -> IsolationChoice {
        let ground = try ProbeGround(in: scratch)
        defer { ground.remove() }
        let runtimes = ["crun", "runc"].compactMap(Program.path(of:)).map { Isolation.oci(runtime: $0) }
        let candidates: [Isolation]
        switch wish {
        case .automatic: candidates = [.namespaces] + runtimes + [.chroot]
        case .only(let isolation): candidates = [isolation]
        case .anyRuntime: candidates = runtimes
        }
        var reasons: [String] = []
        if candidates.isEmpty { reasons.append("neither crun nor runc is installed (apt-get install crun)") }
        for isolation in candidates {
            let overlay =
                isolation == .chroot ? "it can't be mounted for chroot" : ground.fault(isolation, overlay: true)
            guard let overlay else {
                return IsolationChoice(isolation: isolation, mountsOverlays: true, reasons: reasons)
            }
            if let fault = ground.fault(isolation, overlay: false) {
                reasons.append("\(isolation): \(fault)")
                continue
            }
            if isolation != .chroot { reasons.append("\(isolation) without overlays: \(overlay)") }
            return IsolationChoice(isolation: isolation, mountsOverlays: false, reasons: reasons)
        }
        let hint = "coracle doctor says what this machine allows and how to allow more"
        throw SandboxError(.refused, "no isolation works: \(reasons.joined(separator: "; "))", hint: hint)
    }
}

/// Folders in which isolations are tried.
struct ProbeGround {
    private let folder: String

    init(in scratch: String) throws {
        folder = "\(scratch)/probe-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        for name in ["", "/lower", "/upper", "/work", "/root"] {
            guard mkdir(folder + name, 0o755) == 0 else {
                throw SandboxError("creating the folder \(folder + name)", errno: errno)
            }
        }
    }

    /// What keeps an isolation from working; `nil` where it works.
    ///
    /// A program that is not there is asked for: where that is the answer, all before it has worked.
    func fault(_ isolation: Isolation, overlay: Bool) -> String? {
        let root =
            overlay
            ? ProcessSpec.Root.overlay(lower: [folder + "/lower"], upper: folder + "/upper", work: folder + "/work")
            : .directory(folder + "/root")
        let spec = ProcessSpec(root: root, arguments: ["/coracle-probe"])
        do {
            let said = SaidText()
            let process = try SandboxedProcess.start(spec, isolation: isolation) { _, bytes in said.add(bytes) }
            _ = try process.wait()
            // A runtime says in its own words that the program is not there.
            let text = said.text
            if text.contains("/coracle-probe") { return nil }
            return text.isEmpty ? "it says nothing" : String(text.prefix { $0 != "\n" })
        } catch let error as SandboxError {
            return error.code == .program ? nil : error.message
        } catch {
            return "\(error)"
        }
    }

    func remove() { Program.removeTree(folder) }
}
