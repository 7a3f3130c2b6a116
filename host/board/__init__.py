"""One board, as a program uses it, while it comes and goes.

``client``         the public interface: `Board`
``driver``         what is known of the board, restored after every loss of it
``streaming``      streams and captures: start, stop, credit, going on after an outage
``reception``      one stream or capture, from the link's threads to the consumer's
``assembly``       readouts from descriptors and fragments
``repair``         when a part of a window is asked for again
``patience``       when a board is given up that sends no whole window
``upload``         bringing a ratio map to the board
``scene_fetcher``  the scene behind a window, from an emulated board
``lost_windows``, ``clock``, ``stats``
"""
