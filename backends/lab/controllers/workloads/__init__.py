"""Controllers of workloads: DaemonSets, Deployments, ReplicaSets, Jobs and CronJobs."""
