"""Complete systems, each a short file that reads like its diagram. ``kamaelia NAME`` runs one."""
