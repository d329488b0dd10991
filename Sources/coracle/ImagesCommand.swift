// SPDX-License-Identifier: Apache-2.0
public import ArgumentParser
public import CoracleKit

/// `coracle images`.
struct ImagesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images",
        abstract: "List the images of the store.",
        discussion: "Sizes are those of the compressed blobs; one that several images need counts in each."
    )

    @OptionGroup var flags: StoreFlags

    @Option(help: "How to list: text or json.")
    var format = OutputFormat.text

    @Flag(help: "Show whole digests.")
    var digests = false

    @Flag(name: .shortAndLong, help: "Print digests alone.")
    var quiet = false

    @Option(
        help: ArgumentHelp(
            "List some: dangling=true, label=NAME[=value], reference=PATTERN, before=IMAGE, since=IMAGE.",
            discussion:
                "A pattern is of the name, with its tag or without; before and since go by the times in the images.",
            valueName: "name=value"
        )
    )
    var filter: [String] = []

    mutating func run() throws {
        if quiet, format == .json {
            throw ExitReason(.usage, "--quiet and --format json are given both", hint: "the JSON has all digests")
        }
        var list = ListImages(try flags.workspace)
        list.filters = filter
        let style: ListImages.Digests = digests ? .whole : .short
        let text = try quiet ? list.digests(style) : list.run(format, digests: style)
        if let remark = try list.remark() { Output.note("coracle: \(remark)") }
        try Output.result(text)
    }
}

extension OutputFormat: ExpressibleByArgument {}
