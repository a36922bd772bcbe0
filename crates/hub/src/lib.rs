//! The rooms, members, presence and history of one node, and the seam to the cluster.
