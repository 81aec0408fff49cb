// Allows the identities of compute clusters to read the key vault of their Azure ML workspace, which holds the address
// of the database for their runs.
targetScope = 'resourceGroup'

param vaultName string
param nodePrincipalIds array

resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = {
  name: vaultName
}

resource nodesMayReadSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for principal in nodePrincipalIds: {
  name: guid(vault.id, principal, 'Key Vault Secrets User')
  scope: vault
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
    principalId: principal
    principalType: 'ServicePrincipal'
  }
}]
