"""The line to a board, from bytes to a connection that restores itself.

``port``        a serial port: open, read, write
``requests``    requests and answers, without I/O
``io_threads``  the two threads that move bytes between the two above
``connection``  opens ports, says HELLO, and does both again after a loss
``hello``       what a board says of itself, checked
``answers``     what it answers, unpacked
``frame_size``  how long frames should be on this line
"""
