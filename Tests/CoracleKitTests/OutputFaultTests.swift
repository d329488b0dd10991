// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization
import Testing

@testable import CoracleKit

@Suite("A reader that goes away")
struct OutputFaultTests {
    @Test("The container is told once, whether the reader went before or after there was somebody to tell it")
    func order() {
        for isEarly in [false, true] {
            let told = Mutex(0)
            let fault = OutputFault()

            if isEarly { fault.take(EPIPE) }
            fault.attach { told.withLock { $0 += 1 } }
            if !isEarly { fault.take(EPIPE) }
            fault.take(EIO)

            #expect(told.withLock { $0 } == 1)
            #expect(fault.number == EPIPE, "the first one counts")
        }
    }

    @Test("Nobody is told of nothing")
    func none() {
        let told = Mutex(0)
        let fault = OutputFault()

        fault.take(0)
        fault.attach { told.withLock { $0 += 1 } }

        #expect(told.withLock { $0 } == 0)
        #expect(fault.number == 0)
    }
}
