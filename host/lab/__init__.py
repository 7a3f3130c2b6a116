"""The lab service: many boards behind one gateway, each in a process of its own, lent by leases."""
