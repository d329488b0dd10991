// SPDX-License-Identifier: Apache-2.0
/// Placeholder so that the room compiles in the first commit.
enum Platforms {}
