# SPDX-License-Identifier: Apache-2.0
"""The parts of bench/run: servers, peers, measuring, workloads, report."""
