// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc

/// The program: what must be done while the process has one thread, and then the command.
@main
enum EmulatorProgram {
    static func main() {
        EmulatorCommand.prepare()
        Task { Glibc.exit(await EmulatorCommand.start()) }
        dispatchMain()
    }
}
