// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit

/// `coracle stop`.
struct StopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "End containers, and remove what is kept of them.",
        discussion: "The program gets the image's STOPSIGNAL, and is killed if it still runs after a while."
    )

    @OptionGroup var flags: StoreFlags

    @Argument(help: "Names, or numbers or the beginnings of them.")
    var names: [String] = []

    @Option(name: .shortAndLong, help: "The seconds until it is killed; 0 kills at once.")
    var time = 10

    @Flag(help: "All containers.")
    var all = false

    @Flag(name: .customLong("rm"), help: "Remove state and log; also of containers that have ended.")
    var remove = false

    mutating func run() throws {
        var stop = StopContainers(try flags.workspace)
        (stop.seconds, stop.all, stop.removes) = (time, all, remove)
        try Output.result(stop.run(names))
    }
}
