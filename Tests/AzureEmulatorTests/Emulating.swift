// SPDX-License-Identifier: Apache-2.0
import AzureEmulator
import Testing

@Suite struct FaultListTests {
    @Test("A fault that was planned waits until it happens")
    func waits() {
        let faults = AzureFaults([AzureFault(.transitioning)])

        #expect(faults.waiting.map(\.effect) == [.transitioning])
        #expect(faults.happened == [])
    }
}
