//! Shell of the scheduler: HTTP, node links, driver.
