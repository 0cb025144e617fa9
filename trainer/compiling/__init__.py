"""How a step is compiled: the choice of a way, what it costs, what must not be compiled twice."""
