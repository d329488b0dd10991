// swift-tools-version: 6.1
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let package = Package(name: "hello", targets: [.executableTarget(name: "hello")])
